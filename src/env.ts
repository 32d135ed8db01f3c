import type { DataCenter, MixpanelRegion } from '../db/tables.ts';

export type ProcessRole = 'gateway' | 'worker' | 'scheduler';

/** The environment, read once at start. Durations are in milliseconds. */
export interface Env {
  port: number;
  host: string;
  publicUrl: string | undefined;
  /** Undefined: PostgreSQL is embedded, under dataDir. */
  databaseUrl: string | undefined;
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
  partnerRetryBudgetMs: number;
  mixpanel: {
    baseUrl: Record<MixpanelRegion, string>;
    ingestionBaseUrl: Record<MixpanelRegion, string>;
    /** 0: no budget. */
    queriesPerHour: number;
    sourceValue: string;
  };
  logLevel: string;
  logFormat: 'pretty' | 'json';
}
