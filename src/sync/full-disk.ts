import pg from 'pg';
import type { SyncRunRow } from '../../db/tables.ts';
import { RunFailure } from './run-outcome.ts';
import type { RunReporter } from './run-reporter.ts';

/** PostgreSQL's disk_full. */
const DISK_FULL = '53100';

/** Which disk has no room left, when that is what the error is about. */
export function fullDiskOf(error: unknown): 'of the database' | 'for temporary files' | undefined {
  if (error instanceof pg.DatabaseError) return error.code === DISK_FULL ? 'of the database' : undefined;
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOSPC') return 'for temporary files';
  return undefined;
}

/**
 * What ends a run that has met this error. A full disk ends it in words as long as nothing was sent, because taking it
 * up again would read the cohort each time. Later it waits for room, with a notice, so that no answer is lost.
 */
export async function considerFullDisk(
  run: SyncRunRow,
  reporter: RunReporter,
  error: unknown,
): Promise<unknown> {
  const disk = fullDiskOf(error);
  if (disk === undefined) return error;
  const isPlanned = run.planned_at !== null || reporter.current.planned_at !== undefined;
  if (!isPlanned) {
    return new RunFailure(
      'INTERNAL',
      `The disk ${disk} is full, and the run ended before anybody was added or removed. Make room there; the next run starts anew.`,
      { retryable: true, cause: error },
    );
  }
  reporter.notice({
    code: 'OTHER',
    message: `The disk ${disk} was found full. The run goes on where it was once there is room.`,
    count: null,
  });
  // As long as it is full that may not be written either; then the log alone tells.
  await reporter.flush().catch(() => undefined);
  return error;
}
