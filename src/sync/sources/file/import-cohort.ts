import {
  deleteImport,
  insertFileMembers,
  insertImport,
  listAbandonedImports,
  publishImport,
} from '../../../../db/queries/cohort-file.ts';
import { findExportIdOfCohort } from '../../../../db/queries/export.ts';
import type { CohortRow } from '../../../../db/tables.ts';
import type { SyncDeps } from '../../deps.ts';
import { requestPushRun } from '../../queue-run.ts';
import { parseMembers } from './parse-members.ts';

export interface UploadedFile {
  name: string;
  stream(): ReadableStream<Uint8Array>;
}

/** An upload that has not been published after this long died with its process. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

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
    let position = 0;
    for await (const rows of parseMembers(file.stream())) {
      await insertFileMembers(
        db,
        importId,
        rows.map((row) => ({
          position: position++,
          distinct_id: row.distinctId,
          email: row.email,
          user_id: row.userId,
        })),
      );
    }
    const { cohort, replaced } = await db
      .transaction()
      .execute((trx) => publishImport(trx, { projectId, name, importId, now: clock.now() }));
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

async function removeAbandoned({ db, clock }: SyncDeps): Promise<void> {
  const before = new Date(clock.now().getTime() - ABANDONED_AFTER_MS);
  for (const importId of await listAbandonedImports(db, before)) await deleteImport(db, importId);
}
