import { sql } from 'kysely';
import type { RejectionRow, SyncBatchRow } from '../tables.ts';
import { inProject, type ProjectScope } from './scope.ts';

export type StoryBlock = Pick<
  SyncBatchRow,
  'id' | 'export_id' | 'run_id' | 'kind' | 'state' | 'live' | 'marks' | 'refused' | 'notes' | 'people'
> & { settled_at: Date };

/** Those of these blocks that are the project's and whose people a run is done with. */
export async function loadStoryBlocks({ db, projectId }: ProjectScope, ids: string[]): Promise<StoryBlock[]> {
  return inProject(db, projectId)
    .exports()
    .innerJoin('sync_batches as block', 'block.export_id', 'exports.id')
    .select([
      'block.id',
      'block.export_id',
      'block.run_id',
      'block.kind',
      'block.state',
      'block.live',
      'block.marks',
      'block.refused',
      'block.notes',
      'block.people',
    ])
    .select(sql<Date>`block.settled_at`.as('settled_at'))
    .where('block.id', '=', sql<string>`any(${ids}::bigint[])`)
    .where('block.state', 'in', ['SETTLED', 'UNANSWERED'])
    .execute();
}

export type StoryRejection = Pick<
  RejectionRow,
  | 'id'
  | 'export_id'
  | 'since_run_id'
  | 'until_run_id'
  | 'rejected_at'
  | 'distinct_id'
  | 'email'
  | 'user_id'
  | 'reason'
  | 'detail'
>;

/** Distinct_ids of people of whom rejections tell who they are, by any of these. */
export async function loadRejectedIds(
  { db, projectId }: ProjectScope,
  column: 'email' | 'user_id',
  values: readonly string[],
): Promise<{ value: string; distinctId: string; at: Date }[]> {
  return inProject(db, projectId)
    .exports()
    .innerJoin('rejections', 'rejections.export_id', 'exports.id')
    .select([
      sql<string>`${sql.ref(`rejections.${column}`)}`.as('value'),
      'rejections.distinct_id as distinctId',
      'rejections.rejected_at as at',
    ])
    .where(`rejections.${column}`, '=', sql<string>`any(${values}::text[])`)
    .where('rejections.distinct_id', '<>', '')
    .execute();
}

/** Rejections of whoever is known by this in the project, those that hold no longer too. */
export async function loadStoryRejections(
  { db, projectId }: ProjectScope,
  column: 'distinct_id' | 'email' | 'user_id',
  value: string,
): Promise<StoryRejection[]> {
  return inProject(db, projectId)
    .exports()
    .innerJoin('rejections', 'rejections.export_id', 'exports.id')
    .select([
      'rejections.id',
      'rejections.export_id',
      'rejections.since_run_id',
      'rejections.until_run_id',
      'rejections.rejected_at',
      'rejections.distinct_id',
      'rejections.email',
      'rejections.user_id',
      'rejections.reason',
      'rejections.detail',
    ])
    .where(`rejections.${column}`, '=', value)
    .execute();
}
