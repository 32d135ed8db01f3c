import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { EnvError, readEnv, VARIABLES } from '../src/env.ts';
import { findUnknownVariables } from '../src/unknown-variables.ts';
import { createTestDatabase } from './support/database.ts';
import { startService } from './support/service-process.ts';

const key = () => randomBytes(32).toString('base64');

/** The message of the refusal, line by line. */
function faultsOf(env: Record<string, string>): string[] {
  try {
    readEnv(env, false);
  } catch (error) {
    if (error instanceof EnvError) return error.message.split('\n').map((line) => line.trim());
    throw error;
  }
  throw new Error('The environment was taken for usable.');
}

test('an empty environment is a whole one, with the documented defaults', () => {
  expect(readEnv({}, false)).toEqual({
    port: 4000,
    host: '127.0.0.1',
    graphiql: true,
    corsOrigins: [],
    allowIntrospection: true,
    persistedOperations: { mode: 'off', file: 'persisted-operations.json' },
    rateLimits: { perToken: 600_000, perAddress: 1_200_000, mutationsPerToken: 6_000 },
    maxSocketsPerToken: 1_000,
    trustedProxies: 0,
    publicUrl: undefined,
    databaseUrl: undefined,
    databasePool: { gateway: 10, webhooks: 5, engine: 15 },
    preparedStatements: true,
    dataDir: '.data',
    encryptionKeys: undefined,
    bootstrapToken: undefined,
    roles: new Set(['gateway', 'worker', 'scheduler']),
    dynamicSyncIntervalMs: 15 * 60_000,
    cohortRefreshIntervalMs: 15 * 60_000,
    iterable: {
      baseUrl: { US: 'https://api.iterable.com', EU: 'https://api.eu.iterable.com' },
      requestsPerSecond: 5,
      batchSize: 1000,
      concurrency: 2,
    },
    driftCheckIntervalMs: 24 * 3_600_000,
    visibilityDelayMs: 60_000,
    rejectedRetryIntervalMs: 24 * 3_600_000,
    comparisonMemoryPeople: 1_500_000,
    ledgerRetentionMs: 30 * 86_400_000,
    messagingEventRetentionMs: 30 * 86_400_000,
    partnerRetryBudgetMs: 5 * 60_000,
    mixpanel: {
      baseUrl: {
        US: 'https://mixpanel.com',
        EU: 'https://eu.mixpanel.com',
        IN: 'https://in.mixpanel.com',
      },
      ingestionBaseUrl: {
        US: 'https://api.mixpanel.com',
        EU: 'https://api-eu.mixpanel.com',
        IN: 'https://api-in.mixpanel.com',
      },
      queriesPerHour: 60,
      countEveryPage: false,
      sourceValue: 'iterable',
    },
    logLevel: 'info',
    logFormat: 'json',
  });
});

test('a variable that is set to nothing counts as unset', () => {
  expect(readEnv({ PORT: '', DATABASE_URL: '', ENCRYPTION_KEY: '' }, false)).toEqual(readEnv({}, false));
});

test('the log is for people on a terminal and for programs elsewhere, unless LOG_FORMAT says otherwise', () => {
  expect(readEnv({}, true).logFormat).toBe('pretty');
  expect(readEnv({}, false).logFormat).toBe('json');
  expect(readEnv({ LOG_FORMAT: 'json' }, true).logFormat).toBe('json');
});

test.each([
  ['90s', 90_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['2d', 172_800_000],
  ['1.5h', 5_400_000],
])('the duration %s is %d milliseconds', (text, ms) => {
  expect(readEnv({ DYNAMIC_SYNC_INTERVAL: text }, false).dynamicSyncIntervalMs).toBe(ms);
});

test.each(['15', '15 m', '-1m', '1w', 'm', '0.5s'])('%j is no interval between runs', (text) => {
  expect(faultsOf({ DYNAMIC_SYNC_INTERVAL: text })).toContain(
    'DYNAMIC_SYNC_INTERVAL must be a duration such as 90s, 15m or 1h, at least 1s',
  );
});

test('lists are compared every run with 0s and never with off', () => {
  expect(readEnv({ DRIFT_CHECK_INTERVAL: '0s' }, false).driftCheckIntervalMs).toBe(0);
  expect(readEnv({ DRIFT_CHECK_INTERVAL: 'off' }, false).driftCheckIntervalMs).toBeUndefined();
  expect(faultsOf({ DRIFT_CHECK_INTERVAL: 'never' })).toContain(
    'DRIFT_CHECK_INTERVAL must be off, or a duration such as 90s, 15m or 1h',
  );
});

test('pacing and the budget of queries are switched off with 0', () => {
  const env = readEnv({ ITERABLE_REQUESTS_PER_SECOND: '0', MIXPANEL_QUERIES_PER_HOUR: '0' }, false);
  expect([env.iterable.requestsPerSecond, env.mixpanel.queriesPerHour]).toEqual([0, 0]);
});

test('later pages count where the setting says so', () => {
  expect(readEnv({ MIXPANEL_COUNT_EVERY_PAGE: 'true' }, false).mixpanel.countEveryPage).toBe(true);
  expect(faultsOf({ MIXPANEL_COUNT_EVERY_PAGE: 'yes' })).toContain(
    'MIXPANEL_COUNT_EVERY_PAGE must be true or false',
  );
});

test('GraphiQL is off in production and on elsewhere, unless GRAPHIQL says otherwise', () => {
  expect(readEnv({ NODE_ENV: 'development' }, false).graphiql).toBe(true);
  expect(readEnv({ NODE_ENV: 'production' }, false).graphiql).toBe(false);
  expect(readEnv({ NODE_ENV: 'production', GRAPHIQL: 'on' }, false).graphiql).toBe(true);
  expect(readEnv({ GRAPHIQL: 'off' }, false).graphiql).toBe(false);
  expect(faultsOf({ GRAPHIQL: 'true' })).toContain('GRAPHIQL must be on or off');
});

test('origins are a list, or all', () => {
  expect(
    readEnv({ CORS_ORIGINS: 'https://app.example.com, http://localhost:5173' }, false).corsOrigins,
  ).toEqual(['https://app.example.com', 'http://localhost:5173']);
  expect(readEnv({ CORS_ORIGINS: '*' }, false).corsOrigins).toEqual(['*']);
});

test.each([
  'app.example.com',
  'https://app.example.com/',
  'https://app.example.com/path',
  'https://app.example.com,',
  'https://*.example.com',
  'null',
])('%j is no list of origins', (text) => {
  expect(faultsOf({ CORS_ORIGINS: text })).toContain(
    'CORS_ORIGINS must be origins such as https://app.example.com, joined by commas, or *',
  );
});

test.each([
  ['INTROSPECTION', 'false', 'must be on or off'],
  ['PERSISTED_OPERATIONS', 'on', 'must be off, allow or only'],
  ['RATE_LIMIT_PER_TOKEN', '0', 'must be a whole number of at least 1'],
  ['RATE_LIMIT_PER_ADDRESS', '1.5', 'must be a whole number of at least 1'],
  ['RATE_LIMIT_MUTATIONS_PER_TOKEN', 'many', 'must be a whole number from 1 to 2000000000'],
  ['RATE_LIMIT_MUTATIONS_PER_TOKEN', '2000000001', 'must be a whole number from 1 to 2000000000'],
  ['MAX_SOCKETS_PER_TOKEN', '-1', 'must be a whole number of at least 1'],
  ['TRUSTED_PROXIES', 'true', 'must be a whole number from 0 to 10'],
  ['TRUSTED_PROXIES', '11', 'must be a whole number from 0 to 10'],
])('%s=%s is refused', (name, value, fault) => {
  expect(faultsOf({ [name]: value })).toEqual(['The environment is not usable:', `${name} ${fault}`]);
});

test('roles are chosen by a list', () => {
  expect(readEnv({ ROLES: 'worker, scheduler' }, false).roles).toEqual(new Set(['worker', 'scheduler']));
  expect(faultsOf({ ROLES: 'worker,cook' })).toContain(
    'ROLES must be one or more of gateway, worker, scheduler, joined by commas',
  );
});

test('a partner is spoken to in plain http on loopback only', () => {
  for (const address of ['http://127.0.0.1:4100', 'http://localhost:4100', 'http://[::1]:4100']) {
    expect(readEnv({ ITERABLE_BASE_URL_US: address }, false).iterable.baseUrl.US).toBe(address);
  }
  for (const address of [
    'http://api.iterable.com',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
    'ftp://localhost',
    'localhost:4100',
  ]) {
    expect(faultsOf({ ITERABLE_BASE_URL_US: address })).toEqual([
      'The environment is not usable:',
      'ITERABLE_BASE_URL_US must be an https address (http only for loopback hosts)',
    ]);
  }
});

test('a slash at the end of a base address is not doubled in requests', () => {
  expect(
    readEnv({ MIXPANEL_BASE_URL_EU: 'https://proxy.example.com/mixpanel/' }, false).mixpanel.baseUrl.EU,
  ).toBe('https://proxy.example.com/mixpanel');
});

test('a database of your own needs an encryption key of your own', () => {
  expect(faultsOf({ DATABASE_URL: 'postgres://db.example.com/sync' })).toEqual([
    'The environment is not usable:',
    'ENCRYPTION_KEY is required with DATABASE_URL: 32 random bytes in base64 (openssl rand -base64 32)',
  ]);
});

test('a list of encryption keys is kept newest first', () => {
  const [newest, older] = [key(), key()];
  const { encryptionKeys } = readEnv({ ENCRYPTION_KEY: `${newest}, ${older}` }, false);
  expect(encryptionKeys?.map((one) => one.toString('base64'))).toEqual([newest, older]);
});

test.each([
  ['too short', randomBytes(16).toString('base64')],
  ['not base64', '!'.repeat(44)],
  ['one good and one bad', `${key()},x`],
])('an encryption key that is %s is refused', (_what, value) => {
  expect(faultsOf({ ENCRYPTION_KEY: value })).toContain(
    'ENCRYPTION_KEY must be 32 bytes in base64, or several of them joined by commas',
  );
});

const BROKEN = {
  PORT: '70000',
  DATABASE_URL: 'mysql://someone:hunter2@db.example.com',
  BOOTSTRAP_TOKEN: 'a-short-secret',
  ROLES: 'cook',
  ITERABLE_BATCH_SIZE: '1001',
  ITERABLE_CONCURRENCY: '1.5',
  MIXPANEL_BASE_URL_US: 'http://mixpanel.example.com',
  PARTNER_RETRY_BUDGET: 'long',
  LOG_LEVEL: 'loud',
};

test('every fault is told at once, by the name of its variable', () => {
  expect(faultsOf(BROKEN)).toEqual([
    'The environment is not usable:',
    'PORT must be a whole number from 0 to 65535',
    'DATABASE_URL must be an address that begins with postgres:// or postgresql://',
    'BOOTSTRAP_TOKEN must have 32 or more URL-safe characters (letters, digits, - and _)',
    'ROLES must be one or more of gateway, worker, scheduler, joined by commas',
    'ITERABLE_BATCH_SIZE must be a whole number from 1 to 1000',
    'ITERABLE_CONCURRENCY must be a whole number from 1 to 50',
    'PARTNER_RETRY_BUDGET must be a duration such as 90s, 15m or 1h',
    'MIXPANEL_BASE_URL_US must be an https address (http only for loopback hosts)',
    'LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent',
    'ENCRYPTION_KEY is required with DATABASE_URL: 32 random bytes in base64 (openssl rand -base64 32)',
  ]);
});

test.each(['src/main.ts', 'src/migrate-main.ts', 'src/token-main.ts'])(
  '%s with a broken environment says so on standard error, shows no value, and exits with code 1',
  async (program) => {
    await using service = startService(BROKEN, program);
    expect(await service.exited()).toBe(1);
    const output = service.errors();
    expect(output).toMatch(/^The environment is not usable:\n {2}PORT must be/);
    expect(service.output()).toBe(output);
    for (const value of Object.values(BROKEN)) expect(output).not.toContain(` ${value}`);
    expect(output).not.toContain('hunter2');
  },
);

const unknownOf = (...names: string[]) =>
  findUnknownVariables(Object.fromEntries(names.map((name) => [name, 'do-not-tell-this'])), VARIABLES);

test.each([
  ['ITERABLE_BASE_URL', 'ITERABLE_BASE_URL_US or ITERABLE_BASE_URL_EU'],
  ['ITERABLE_REQUEST_PER_SECOND', 'ITERABLE_REQUESTS_PER_SECOND'],
  ['MIXPANEL_QUERIES_HOUR', 'MIXPANEL_QUERIES_PER_HOUR'],
  ['DYNAMIC_SYNC_INTERVALL', 'DYNAMIC_SYNC_INTERVAL'],
  ['COHORT_REFRESH', 'COHORT_REFRESH_INTERVAL'],
  ['RATE_LIMIT_TOKEN', 'RATE_LIMIT_PER_TOKEN'],
  ['DATABASE_POOL', 'DATABASE_POOL_GATEWAY or DATABASE_POOL_WEBHOOKS or DATABASE_POOL_ENGINE'],
  ['PERSISTED_OPERATION', 'PERSISTED_OPERATIONS'],
  ['LOGLEVEL', 'LOG_LEVEL'],
  ['iterable_batch_size', 'ITERABLE_BATCH_SIZE'],
])('%s is not known, and the question is whether %s is meant', (name, meant) => {
  expect(unknownOf(name)).toEqual([`${name} is not a setting of Cohort Sync. Did you mean ${meant}?`]);
});

test("a partner's name in front makes a variable look like one of ours, also when none is near", () => {
  expect(unknownOf('ITERABLE_API_KEY')).toEqual(['ITERABLE_API_KEY is not a setting of Cohort Sync.']);
});

test('what the service reads, what is empty and what other programs read is passed over', () => {
  const others = `PATH HOME USER HOSTNAME PWD LANG TZ TERM TMPDIR CI DEBUG NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS npm_config_cache
    npm_lifecycle_event MALLOC_ARENA_MAX PGHOST PGPORT PGDATABASE SERVER_PORT HTTP_PORT HTTPS_PROXY NO_PROXY http_proxy DATABASE_HOST
    DATABASE_USER DATABASE_NAME DATABASE_PUBLIC_URL DATABASE_URL_UNPOOLED TEST_DATABASE_URL REDIS_URL LOG_DIR LOG_FILE LOGNAME
    XDG_DATA_DIRS DATA_PATH PUBLIC_DIR AWS_ROLE_ARN GITHUB_TOKEN SANDBOX_PORT`;
  expect(unknownOf(...others.split(/\s+/), ...VARIABLES)).toEqual([]);
  expect(findUnknownVariables({ ITERABLE_BASE_URL: '' }, VARIABLES)).toEqual([]);
});

test('a service that is started with such a variable warns of it by name, without its value, and starts', async () => {
  const database = await createTestDatabase();
  await using service = startService({
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: key(),
    ITERABLE_REQUEST_PER_SECOND: 'do-not-tell-this',
  });
  await service.up();
  expect(service.logs().filter(({ level }) => level === 40)).toMatchObject([
    {
      msg: 'ITERABLE_REQUEST_PER_SECOND is not a setting of Cohort Sync. Did you mean ITERABLE_REQUESTS_PER_SECOND?',
    },
  ]);
  expect(service.output()).not.toContain('do-not-tell-this');
  await service.end('SIGTERM');
  await database.drop();
});
