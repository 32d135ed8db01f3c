import type { Db } from '../../../../db/connect.ts';
import { findCurrentImport, readFileMembers } from '../../../../db/queries/cohort-file.ts';
import type { MemberSource } from '../source.ts';

const PAGE_SIZE = 2_000;

/**
 * The people of an uploaded file, in the order of its lines. An upload that replaces it meanwhile takes its rows away:
 * then fewer people come than the total says, and whoever reads again gets the new ones.
 */
export function createFileSource({ db, cohortId }: { db: Db; cohortId: string }): MemberSource {
  return {
    async read(onPage, signal) {
      const { importId, people } = await findCurrentImport(db, cohortId);
      if (importId === null) return { total: people };
      let after = -1;
      for (let number = 0; ; number++) {
        signal.throwIfAborted();
        const rows = await readFileMembers(db, importId, after, PAGE_SIZE);
        if (rows.length === 0) return { total: people };
        await onPage({
          number,
          total: people,
          members: rows.map((row) => ({
            distinctId: row.distinct_id,
            email: row.email ?? undefined,
            userId: row.user_id ?? undefined,
          })),
        });
        after = rows[rows.length - 1]!.position;
      }
    },
  };
}
