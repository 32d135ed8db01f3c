import { setTimeout as sleep } from 'node:timers/promises';
import { dashboard } from '../gateway/operations.ts';
import { call } from './raw-http.ts';

const BODY = JSON.stringify({ query: dashboard.query, variables: { first: 20 } });
const EVERY_MS = 200;
const PATIENCE_MS = 10_000;

/** An answer in this time is one as before. */
const QUICK_MS = 1_000;

export interface Experience {
  /** The longest that an answer took, in milliseconds. */
  health: number;
  dashboard: number;
  /** What was no answer of 200, and how often. */
  failures: Record<string, number>;
}

/** Somebody who means no harm: asks for /health and for the dashboard each 200 ms, each on a connection of its own. */
export function startInnocent(target: { url: string; token: string }): { stop(): Promise<Experience> } {
  const experience: Experience = { health: 0, dashboard: 0, failures: {} };
  const underWay = new Set<Promise<void>>();
  let isOver = false;

  async function ask(what: 'health' | 'dashboard', path: string, body?: string): Promise<void> {
    const begun = performance.now();
    const answer = await call(target, path, {
      headers: { authorization: `Bearer ${target.token}` },
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(body === undefined ? {} : { body }),
    }).then(
      ({ told }) => told,
      (error: NodeJS.ErrnoException) => error.code ?? error.name,
    );
    experience[what] = Math.max(experience[what], performance.now() - begun);
    const failure = `${what} ${answer}`;
    if (answer !== '200') experience.failures[failure] = (experience.failures[failure] ?? 0) + 1;
  }

  const asking = (async () => {
    while (!isOver) {
      const asked = Promise.all([ask('health', '/health'), ask('dashboard', '/graphql', BODY)]).then(() => {
        underWay.delete(asked);
      });
      underWay.add(asked);
      await sleep(EVERY_MS);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await asking;
      await Promise.all(underWay);
      return experience;
    },
  };
}

/** Whether the dashboard comes within a second again, three times in a row, before the patience is over. */
export async function recovers(target: { url: string; token: string }, patienceMs: number): Promise<boolean> {
  const begun = performance.now();
  let quick = 0;
  while (quick < 3 && performance.now() - begun < patienceMs) {
    const answer = await call(target, '/graphql', {
      headers: { authorization: `Bearer ${target.token}` },
      signal: AbortSignal.timeout(QUICK_MS),
      body: BODY,
    }).catch(() => undefined);
    quick = answer?.told === '200' ? quick + 1 : 0;
    await sleep(EVERY_MS);
  }
  return quick >= 3;
}
