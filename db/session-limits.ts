import type pg from 'pg';

/** What a session of PostgreSQL may take; 0: as long as it takes. */
export interface SessionLimits {
  statementMs: number;
  /** Waiting for one lock. */
  lockMs: number;
  /** A transaction in which nothing is under way. Its connection ends. */
  idleInTransactionMs: number;
}

/**
 * Somebody waits for the answer. No statement of an honest operation takes a second; one that takes this long costs others
 * more than it is worth. Locks are held for moments, or by a run's plan for seconds. Nothing is waited for in a transaction.
 */
export const GATEWAY_LIMITS: SessionLimits = {
  statementMs: 15_000,
  lockMs: 5_000,
  idleInTransactionMs: 30_000,
};

/** Both partners give a call up after some ten seconds, and come again. */
export const WEBHOOK_LIMITS: SessionLimits = GATEWAY_LIMITS;

/**
 * A run of millions takes the time that it takes, and a statement of it too: a limit would make it fail for ever. Locks are
 * waited for on purpose (a plan of the same run by a worker who lost it, pages that are being stored), but none is held for a
 * minute; who does not get it is tried again. Transactions stay open while Mixpanel is asked to import events, five minutes
 * at most and one request more (src/events/import-batch.ts).
 */
export const ENGINE_LIMITS: SessionLimits = {
  statementMs: 0,
  lockMs: 60_000,
  idleInTransactionMs: 600_000,
};

/** By SET, because poolers refuse parameters of the startup that they do not know. */
export async function setLimits(client: pg.ClientBase, limits: SessionLimits): Promise<void> {
  const { statementMs, lockMs, idleInTransactionMs } = limits;
  await client.query(
    `set statement_timeout = ${statementMs}; set lock_timeout = ${lockMs}; set idle_in_transaction_session_timeout = ${idleInTransactionMs}`,
  );
}
