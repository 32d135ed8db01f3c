import { setMaxListeners } from 'node:events';
import type { Db } from '../../db/connect.ts';
import type { RunNotice } from '../../db/json-columns.ts';
import { type RunAttempt, type RunChanges, readRunSignals, updateRun } from '../../db/queries/active-run.ts';
import type { SyncRunRow } from '../../db/tables.ts';
import type { WaitReason } from '../../db/values.ts';
import type { Clock } from '../clock.ts';
import { noticesOf } from './run-notices.ts';
import { RunCancelled, RunTakenUp } from './run-outcome.ts';

/** Watchers are shown at most five snapshots a second. */
const FLUSH_INTERVAL_MS = 200;
/** How soon a request to cancel is noticed while nothing else is written. */
const POLL_INTERVAL_MS = 1000;

/**
 * Keeps the run's row up to date while it is executed, a few times a second, and learns from it when the run is to
 * end: then halt is aborted with the reason (RunCancelled, RunHandedOver, or that of stopping).
 */
export interface RunReporter {
  readonly attempt: RunAttempt;
  /** Aborted when nothing new is to be begun. What is on its way may finish. */
  readonly halt: AbortSignal;
  readonly current: Readonly<RunChanges>;
  set(changes: RunChanges): void;
  add(counts: { added?: number; unchanged?: number; removed?: number; rejected?: number }): void;
  countRequest(): void;
  /** The same text again is no news. */
  notice(notice: RunNotice): void;
  /** Says what the run waits for, until the function that it gives is called. */
  waitFor: WaitFor;
  /** Writes what is not written yet. Throws the reason when the run is to end. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/** Shown when it takes a moment; of several waits the one that was begun last. */
export type WaitFor = (reason: WaitReason, forMs?: number) => () => void;

/** Shorter waits are nobody's concern: a run at Iterable's pace has one before most of its requests. */
const WAIT_SHOWN_AFTER_MS = 3_000;

export function createRunReporter(options: {
  db: Db;
  run: SyncRunRow;
  clock: Clock;
  stopping: AbortSignal;
  onError: (error: unknown) => void;
}): RunReporter {
  const { db, run } = options;
  const attempt = { runId: run.id, attempt: run.attempt };
  const halting = new AbortController();
  // Each request that waits for its turn listens; Node warns of more than ten.
  setMaxListeners(0, halting.signal);
  const current = {
    members: run.members,
    added: run.added,
    unchanged: run.unchanged,
    removed: run.removed,
    rejected: run.rejected,
    pending_removals: run.pending_removals,
    requests_sent: run.requests_sent,
    notices: run.notices,
  } satisfies RunChanges;
  let notices: readonly RunNotice[] = noticesOf(run);
  const waits = new Map<NodeJS.Timeout, { reason: WaitReason; until: Date | null }>();
  let dirty: RunChanges = {};
  let writing: Promise<void> = Promise.resolve();
  let lastContact = performance.now();

  const onStopping = () => halting.abort(options.stopping.reason);
  if (options.stopping.aborted) onStopping();
  else options.stopping.addEventListener('abort', onStopping, { once: true });

  async function exchange() {
    const changes = dirty;
    dirty = {};
    lastContact = performance.now();
    try {
      const hasChanges = Object.keys(changes).length > 0;
      const signals = hasChanges ? await updateRun(db, attempt, changes) : await readRunSignals(db, attempt);
      if (!signals) halting.abort(new RunTakenUp());
      else if (signals.isCancelRequested) halting.abort(new RunCancelled('The run was asked to end.'));
    } catch (error) {
      dirty = { ...changes, ...dirty };
      throw error;
    }
  }

  function enqueue(): Promise<void> {
    writing = writing.catch(() => undefined).then(exchange);
    return writing;
  }

  const timer = setInterval(() => {
    if (Object.keys(dirty).length === 0 && performance.now() - lastContact < POLL_INTERVAL_MS) return;
    enqueue().catch(options.onError);
  }, FLUSH_INTERVAL_MS);

  function set({ progress, ...others }: RunChanges) {
    // People are shown it: 0.5882, not 0.5882000000000001.
    const changes =
      progress === undefined ? others : { ...others, progress: Math.round(progress * 1e4) / 1e4 };
    Object.assign(current, changes);
    Object.assign(dirty, changes);
  }

  function showWait() {
    const { reason = null, until = null } = [...waits.values()].at(-1) ?? {};
    set({ wait_reason: reason, wait_until: until });
  }

  return {
    attempt,
    halt: halting.signal,
    current,
    set,
    add(counts) {
      for (const name of ['added', 'unchanged', 'removed', 'rejected'] as const) {
        if (counts[name]) set({ [name]: current[name] + counts[name] });
      }
    },
    countRequest: () => set({ requests_sent: current.requests_sent + 1 }),
    notice(notice) {
      if (notices.some(({ message }) => message === notice.message)) return;
      notices = [...notices, notice];
      set({
        notices: notices.map(({ message }) => message),
        notice_details: JSON.stringify(notices),
      });
    },
    waitFor(reason, forMs) {
      const until = forMs === undefined ? null : new Date(options.clock.now().getTime() + forMs);
      const timer = setTimeout(() => {
        waits.set(timer, { reason, until });
        showWait();
      }, WAIT_SHOWN_AFTER_MS);
      return () => {
        clearTimeout(timer);
        if (waits.delete(timer)) showWait();
      };
    },
    async flush() {
      await enqueue();
      halting.signal.throwIfAborted();
    },
    async stop() {
      clearInterval(timer);
      options.stopping.removeEventListener('abort', onStopping);
      await writing.catch(() => undefined);
    },
  };
}
