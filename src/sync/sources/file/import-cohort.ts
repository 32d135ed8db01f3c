import {
  deleteImport,
  findRepeatedRows,
  insertFileMembers,
  insertImport,
  listAbandonedImports,
  publishImport,
} from '../../../../db/queries/cohort-file.ts';
import { findExportIdOfCohort } from '../../../../db/queries/export.ts';
import type { CohortRow } from '../../../../db/tables.ts';
import type { SyncDeps } from '../../deps.ts';
import { requestPushRun } from '../../queue-run.ts';
import { createReading, parseMembers } from './parse-members.ts';

export interface UploadedFile {
  name: string;
  stream(): ReadableStream<Uint8Array>;
}

/** An upload that has not been published after this long died with its process. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;
/** Of those that are told of. */
const LINES_SHOWN = 10;

/**
 * A cohort from a file, in bounded memory; the same name again replaces its members in one go and runs its dynamic
 * export. Throws BadUserInputError that names the lines at fault; then the old members stay.
 */
export async function importCohort(
  deps: SyncDeps,
  upload: { projectId: string; name: string; file: UploadedFile },
): Promise<CohortRow> {
  const { db, clock } = deps;
  const { projectId, name, file } = upload;
  await removeAbandoned(deps);
  const importId = await insertImport(db, projectId, clock.now());
  let isPublished = false;
  try {
    const reading = createReading();
    for await (const rows of parseMembers(file.stream(), reading)) {
      await insertFileMembers(
        db,
        importId,
        rows.map((row) => ({
          position: row.line,
          distinct_id: row.distinctId,
          email: row.email,
          user_id: row.userId,
        })),
      );
    }
    const repeated = await findRepeatedRows(db, importId, LINES_SHOWN);
    const { cohort, replaced } = await db.transaction().execute((trx) =>
      publishImport(trx, {
        projectId,
        name,
        importId,
        now: clock.now(),
        reading: { ...reading, repeatedRows: repeated.rows },
        note: repeatNote(repeated),
      }),
    );
    isPublished = true;
    if (replaced !== null) await deleteImport(db, replaced);
    const exportId = await findExportIdOfCohort(db, cohort.id);
    if (exportId !== undefined) await requestPushRun(deps, exportId);
    return cohort;
  } catch (error) {
    if (!isPublished) await deleteImport(db, importId);
    throw error;
  }
}

/** Nothing is said of a line that only repeats an earlier one. */
function repeatNote({ differing, lines }: { differing: number; lines: number[] }): string | null {
  if (differing === 0) return null;
  const rest = differing - lines.length;
  const where = `${lines.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
  return `${differing} ${differing === 1 ? 'line repeats' : 'lines repeat'} the distinct_id of an earlier line with another e-mail or userId (line ${where}). Only the first line of a distinct_id counts. A spreadsheet that shows long numbers as 1.01540E+16 saves them so: make the column text.`;
}

async function removeAbandoned({ db, clock }: SyncDeps): Promise<void> {
  const before = new Date(clock.now().getTime() - ABANDONED_AFTER_MS);
  for (const importId of await listAbandonedImports(db, before)) await deleteImport(db, importId);
}
