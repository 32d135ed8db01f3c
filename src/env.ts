import { z } from 'zod';
import type { DataCenter, MixpanelRegion } from '../db/values.ts';
import { duration, encryptionKeys, flag, number, onOff, origins, partnerUrl, url } from './env-values.ts';

export type ProcessRole = 'gateway' | 'worker' | 'scheduler';

/** The environment, read once at start. Durations are in milliseconds. */
export interface Env {
  port: number;
  host: string;
  /** Browsers are shown GraphiQL at /graphql. */
  graphiql: boolean;
  /** Undefined: from host and port. */
  publicUrl: string | undefined;
  /** Undefined: PostgreSQL is embedded, under dataDir. */
  databaseUrl: string | undefined;
  /** Connections that a process may hold for each kind of work. */
  databasePool: { gateway: number; webhooks: number; engine: number };
  /** Whether statements that are made again and again are prepared by name. */
  preparedStatements: boolean;
  dataDir: string;
  /** ENCRYPTION_KEY as given, newest first; undefined: generated into dataDir. */
  encryptionKeys: Buffer[] | undefined;
  bootstrapToken: string | undefined;
  roles: ReadonlySet<ProcessRole>;
  dynamicSyncIntervalMs: number;
  cohortRefreshIntervalMs: number;
  iterable: {
    baseUrl: Record<DataCenter, string>;
    /** 0: no pacing. */
    requestsPerSecond: number;
    batchSize: number;
    concurrency: number;
  };
  /** Undefined: never; 0: every run. */
  driftCheckIntervalMs: number | undefined;
  visibilityDelayMs: number;
  rejectedRetryIntervalMs: number;
  /** People on a list whom a run holds in memory at once, some 40 bytes each. */
  comparisonMemoryPeople: number;
  /** Undefined: ledgers are kept for ever. */
  ledgerRetentionMs: number | undefined;
  /** Undefined: events of Iterable are kept for ever. */
  messagingEventRetentionMs: number | undefined;
  partnerRetryBudgetMs: number;
  mixpanel: {
    baseUrl: Record<MixpanelRegion, string>;
    ingestionBaseUrl: Record<MixpanelRegion, string>;
    /** 0: no budget. */
    queriesPerHour: number;
    /** Mixpanel counts the later pages of a read too, not only its first one. */
    countEveryPage: boolean;
    sourceValue: string;
  };
  /** Origins whose pages may call us from a browser; * for every one. */
  corsOrigins: readonly string[];
  /** Introspection, and suggestions in messages about documents. */
  allowIntrospection: boolean;
  persistedOperations: { mode: 'off' | 'allow' | 'only'; file: string };
  /** In a minute; mutations over all processes, the others in each. */
  rateLimits: { perToken: number; perAddress: number; mutationsPerToken: number };
  maxSocketsPerToken: number;
  /** Proxies in front of the service that append to X-Forwarded-For. */
  trustedProxies: number;
  logLevel: string;
  logFormat: 'pretty' | 'json';
}

/** Everything that is wrong with the environment, a line for each variable; never a value. */
export class EnvError extends Error {
  constructor(faults: string[]) {
    super(`The environment is not usable:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.name = 'EnvError';
  }
}

const ROLES: readonly ProcessRole[] = ['gateway', 'worker', 'scheduler'];
const roles = z.string().transform((text, context) => {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => ROLES.includes(name as ProcessRole))) return new Set(names as ProcessRole[]);
  context.addIssue({
    code: 'custom',
    message: 'must be one or more of gateway, worker, scheduler, joined by commas',
  });
  return z.NEVER;
});

const variables = z
  .object({
    PORT: number({ min: 0, max: 65_535, whole: true }).prefault('4000'),
    HOST: z.string().default('127.0.0.1'),
    GRAPHIQL: onOff.optional(),
    NODE_ENV: z.string().optional(),
    PUBLIC_URL: url(['http:', 'https:']).optional(),
    DATABASE_URL: url(['postgres:', 'postgresql:']).optional(),
    DATABASE_POOL_GATEWAY: number({ min: 2, max: 500, whole: true }).prefault('10'),
    DATABASE_POOL_WEBHOOKS: number({ min: 2, max: 500, whole: true }).prefault('5'),
    // Four runs that read and five projects whose events are imported hold one each, and need another now and then.
    DATABASE_POOL_ENGINE: number({ min: 10, max: 500, whole: true }).prefault('15'),
    PREPARED_STATEMENTS: onOff.prefault('on'),
    DATA_DIR: z.string().default('.data'),
    ENCRYPTION_KEY: encryptionKeys.optional(),
    BOOTSTRAP_TOKEN: z
      .string()
      .regex(/^[A-Za-z0-9_-]{32,}$/, 'must have 32 or more URL-safe characters (letters, digits, - and _)')
      .optional(),
    ROLES: roles.prefault('gateway,worker,scheduler'),
    DYNAMIC_SYNC_INTERVAL: duration(1000).prefault('15m'),
    COHORT_REFRESH_INTERVAL: duration(1000).prefault('15m'),
    ITERABLE_BASE_URL_US: partnerUrl.prefault('https://api.iterable.com'),
    ITERABLE_BASE_URL_EU: partnerUrl.prefault('https://api.eu.iterable.com'),
    ITERABLE_REQUESTS_PER_SECOND: number({ min: 0 }).prefault('5'),
    ITERABLE_BATCH_SIZE: number({ min: 1, max: 1000, whole: true }).prefault('1000'),
    ITERABLE_CONCURRENCY: number({ min: 1, max: 50, whole: true }).prefault('2'),
    DRIFT_CHECK_INTERVAL: z.union([z.literal('off').transform(() => undefined), duration()]).prefault('24h'),
    ITERABLE_VISIBILITY_DELAY: duration().prefault('60s'),
    REJECTED_RETRY_INTERVAL: duration().prefault('24h'),
    COMPARISON_MEMORY_PEOPLE: number({ min: 1, whole: true }).prefault('1500000'),
    LEDGER_RETENTION: z.union([z.literal('off').transform(() => undefined), duration()]).prefault('30d'),
    MESSAGING_EVENT_RETENTION: z
      .union([z.literal('off').transform(() => undefined), duration()])
      .prefault('30d'),
    PARTNER_RETRY_BUDGET: duration().prefault('5m'),
    MIXPANEL_BASE_URL_US: partnerUrl.prefault('https://mixpanel.com'),
    MIXPANEL_BASE_URL_EU: partnerUrl.prefault('https://eu.mixpanel.com'),
    MIXPANEL_BASE_URL_IN: partnerUrl.prefault('https://in.mixpanel.com'),
    MIXPANEL_INGESTION_BASE_URL_US: partnerUrl.prefault('https://api.mixpanel.com'),
    MIXPANEL_INGESTION_BASE_URL_EU: partnerUrl.prefault('https://api-eu.mixpanel.com'),
    MIXPANEL_INGESTION_BASE_URL_IN: partnerUrl.prefault('https://api-in.mixpanel.com'),
    MIXPANEL_QUERIES_PER_HOUR: number({ min: 0, whole: true }).prefault('60'),
    MIXPANEL_COUNT_EVERY_PAGE: flag.prefault('false'),
    MIXPANEL_SOURCE_VALUE: z.string().default('iterable'),
    CORS_ORIGINS: origins.default([]),
    INTROSPECTION: onOff.prefault('on'),
    PERSISTED_OPERATIONS: z
      .enum(['off', 'allow', 'only'], { error: 'must be off, allow or only' })
      .default('off'),
    PERSISTED_OPERATIONS_FILE: z.string().default('persisted-operations.json'),
    RATE_LIMIT_PER_TOKEN: number({ min: 1, whole: true }).prefault('600000'),
    RATE_LIMIT_PER_ADDRESS: number({ min: 1, whole: true }).prefault('1200000'),
    RATE_LIMIT_MUTATIONS_PER_TOKEN: number({ min: 1, max: 2_000_000_000, whole: true }).prefault('6000'),
    MAX_SOCKETS_PER_TOKEN: number({ min: 1, whole: true }).prefault('1000'),
    TRUSTED_PROXIES: number({ min: 0, max: 10, whole: true }).prefault('0'),
    LOG_LEVEL: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
        error: 'must be one of trace, debug, info, warn, error, fatal, silent',
      })
      .default('info'),
    LOG_FORMAT: z.enum(['pretty', 'json'], { error: 'must be pretty or json' }).optional(),
  })
  .refine((given) => given.DATABASE_URL === undefined || given.ENCRYPTION_KEY !== undefined, {
    path: ['ENCRYPTION_KEY'],
    message: 'is required with DATABASE_URL: 32 random bytes in base64 (openssl rand -base64 32)',
    // Also when other variables are at fault: all faults are told at once.
    when: ({ value }) => typeof value === 'object' && value !== null,
  });

/** The names of all that is read here. */
export const VARIABLES: readonly string[] = Object.keys(variables.shape);

/** Reads and checks every variable. Throws EnvError, which names every fault. Empty counts as unset. */
export function readEnv(source: Record<string, string | undefined>, isTerminal: boolean): Env {
  const given = Object.fromEntries(
    Object.entries(source).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = variables.safeParse(given);
  if (!result.success) {
    throw new EnvError(result.error.issues.map((issue) => `${issue.path.join('.')} ${messageOf(issue)}`));
  }
  const env = result.data;
  return {
    port: env.PORT,
    host: env.HOST,
    graphiql: env.GRAPHIQL ?? env.NODE_ENV !== 'production',
    publicUrl: env.PUBLIC_URL?.replace(/\/+$/, ''),
    databaseUrl: env.DATABASE_URL,
    databasePool: {
      gateway: env.DATABASE_POOL_GATEWAY,
      webhooks: env.DATABASE_POOL_WEBHOOKS,
      engine: env.DATABASE_POOL_ENGINE,
    },
    preparedStatements: env.PREPARED_STATEMENTS,
    dataDir: env.DATA_DIR,
    encryptionKeys: env.ENCRYPTION_KEY,
    bootstrapToken: env.BOOTSTRAP_TOKEN,
    roles: env.ROLES,
    dynamicSyncIntervalMs: env.DYNAMIC_SYNC_INTERVAL,
    cohortRefreshIntervalMs: env.COHORT_REFRESH_INTERVAL,
    iterable: {
      baseUrl: { US: env.ITERABLE_BASE_URL_US, EU: env.ITERABLE_BASE_URL_EU },
      requestsPerSecond: env.ITERABLE_REQUESTS_PER_SECOND,
      batchSize: env.ITERABLE_BATCH_SIZE,
      concurrency: env.ITERABLE_CONCURRENCY,
    },
    driftCheckIntervalMs: env.DRIFT_CHECK_INTERVAL,
    visibilityDelayMs: env.ITERABLE_VISIBILITY_DELAY,
    rejectedRetryIntervalMs: env.REJECTED_RETRY_INTERVAL,
    comparisonMemoryPeople: env.COMPARISON_MEMORY_PEOPLE,
    ledgerRetentionMs: env.LEDGER_RETENTION,
    messagingEventRetentionMs: env.MESSAGING_EVENT_RETENTION,
    partnerRetryBudgetMs: env.PARTNER_RETRY_BUDGET,
    mixpanel: {
      baseUrl: { US: env.MIXPANEL_BASE_URL_US, EU: env.MIXPANEL_BASE_URL_EU, IN: env.MIXPANEL_BASE_URL_IN },
      ingestionBaseUrl: {
        US: env.MIXPANEL_INGESTION_BASE_URL_US,
        EU: env.MIXPANEL_INGESTION_BASE_URL_EU,
        IN: env.MIXPANEL_INGESTION_BASE_URL_IN,
      },
      queriesPerHour: env.MIXPANEL_QUERIES_PER_HOUR,
      countEveryPage: env.MIXPANEL_COUNT_EVERY_PAGE,
      sourceValue: env.MIXPANEL_SOURCE_VALUE,
    },
    corsOrigins: env.CORS_ORIGINS,
    allowIntrospection: env.INTROSPECTION,
    persistedOperations: { mode: env.PERSISTED_OPERATIONS, file: env.PERSISTED_OPERATIONS_FILE },
    rateLimits: {
      perToken: env.RATE_LIMIT_PER_TOKEN,
      perAddress: env.RATE_LIMIT_PER_ADDRESS,
      mutationsPerToken: env.RATE_LIMIT_MUTATIONS_PER_TOKEN,
    },
    maxSocketsPerToken: env.MAX_SOCKETS_PER_TOKEN,
    trustedProxies: env.TRUSTED_PROXIES,
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT ?? (isTerminal ? 'pretty' : 'json'),
  };
}

function messageOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_union' ? 'must be off, or a duration such as 90s, 15m or 1h' : issue.message;
}
