import type { Db } from '../../../../db/connect.ts';
import { countPushedMembers, readPushedMembers } from '../../../../db/queries/pushed-member.ts';
import type { MemberSource } from '../source.ts';

const PAGE_SIZE = 2_000;

/** The members of a pushed cohort as of one moment, in the order of their distinct_ids. */
export function createPushedSource({ db, cohortId }: { db: Db; cohortId: string }): MemberSource {
  return {
    async read(onPage, signal) {
      // One snapshot for all pages, whatever is pushed meanwhile.
      return await db
        .transaction()
        .setIsolationLevel('repeatable read')
        .setAccessMode('read only')
        .execute(async (trx) => {
          const total = await countPushedMembers(trx, cohortId);
          let after = '';
          for (let number = 0; ; number++) {
            signal.throwIfAborted();
            const rows = await readPushedMembers(trx, cohortId, after, PAGE_SIZE);
            if (rows.length === 0) return { total };
            await onPage({
              number,
              total,
              members: rows.map((row) => ({
                distinctId: row.distinct_id,
                email: row.email ?? undefined,
                userId: row.user_id ?? undefined,
              })),
            });
            after = rows[rows.length - 1]!.distinct_id;
          }
        });
    },
  };
}
