import { randomBytes } from 'node:crypto';
import { platform } from 'node:os';
import type pg from 'pg';
import { seedCohorts } from '../gateway/seed.ts';
import { createTokens } from '../support/api.ts';
import type { Partners } from '../support/partners-process.ts';
import type { BenchPostgres } from '../support/postgres.ts';
import { type Service, startService } from '../support/service.ts';
import type { Target } from './target.ts';

/** What a deployment of some size has. */
const SIZE = { cohorts: 500, runsPerExport: 20, rejections: 5_000 };
const DESCRIPTION_LENGTH = 2_000;

export interface Scene {
  service: Service;
  database: pg.Client;
  target: Target;
  innocentToken: string;
  /** Starts the service once more on what the one that ended has left behind. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A service with a database of its own, an attacker who may only read, and an innocent caller. */
export async function openScene(postgres: BenchPostgres, partners: Partners): Promise<Scene> {
  const database = await postgres.createDatabase();
  const env = {
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    BOOTSTRAP_TOKEN: randomBytes(24).toString('base64url'),
    COHORT_REFRESH_INTERVAL: '24h',
  };
  const start = () => startService({ databaseUrl: database.url, partners, env, isQuiet: true });
  let service = await start();
  await seedCohorts(database.client, SIZE);
  await database.client.query(`update cohorts set description = repeat('x', $1)`, [DESCRIPTION_LENGTH]);
  const [token, innocentToken] = await createTokens(service.api, 2);
  const { integration } = await service.api.query(
    '{ integration(provider: ITERABLE) { webhook { url password } } }',
  );
  const { url, password } = integration.webhook;
  return {
    get service() {
      return service;
    },
    database: database.client,
    get target() {
      return {
        url: service.url,
        token: token!,
        // Where all of 127.0.0.0/8 is this machine, the attacker has an address of its own.
        from: platform() === 'linux' ? '127.0.0.2' : undefined,
        webhook: { path: new URL(url).pathname, password },
      };
    },
    innocentToken: innocentToken!,
    async restart() {
      service = await start();
    },
    stop: () => service.stop(),
  };
}
