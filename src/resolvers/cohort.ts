import { countCohorts, listCohorts } from '../../db/queries/cohort.ts';
import type { CohortRow } from '../../db/tables.ts';
import type { CohortSource } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { NotFoundError } from '../errors.ts';
import { importCohort as importFile, type UploadedFile } from '../sync/sources/file/import-cohort.ts';
import { type Connection, isRowId, type PageArgs, pageOf } from './page.ts';

export async function requireCohort({ load }: Context, cohortId: string): Promise<CohortRow> {
  const cohort = await load.cohort.load(cohortId);
  if (!cohort) throw new NotFoundError('cohort');
  return cohort;
}

export function readCohorts(
  { viewer, sync }: Context,
  args: PageArgs & {
    search?: string | null | undefined;
    source?: readonly CohortSource[] | null | undefined;
  },
): Promise<Connection<CohortRow>> {
  const scope = { db: sync.db, projectId: viewer.project.id };
  const filter = { search: args.search ?? undefined, source: args.source ?? undefined };
  return pageOf(args, {
    keyOf: (cohort: CohortRow) => ({ name: cohort.name, id: cohort.id }),
    parseKey: (value) => {
      const { name, id } = (value ?? {}) as { name?: unknown; id?: unknown };
      return typeof name === 'string' && !name.includes('\0') && isRowId(id) ? { name, id } : undefined;
    },
    load: (page) => listCohorts(scope, filter, page),
    count: () => countCohorts(scope, filter),
  });
}

export function importCohort(
  { viewer, sync }: Context,
  input: { name: string; file: UploadedFile },
): Promise<CohortRow> {
  return importFile(sync, { projectId: viewer.project.id, ...input });
}

/** Mixpanel pushes every half hour, also when nothing has changed. */
const SILENT_AFTER_MS = 3_600_000;

/** Why the members of a pushed cohort may not be up to date. */
export function pushWarning(
  { sync }: Context,
  { last_received_at: at, push_note: note }: CohortRow,
): string | null {
  if (at === null) return null;
  const isSilent = sync.clock.now().getTime() - at.getTime() > SILENT_AFTER_MS;
  const silence = `Mixpanel has pushed nothing since ${at.toISOString()}; it does so every 30 minutes. See to the sync in Mixpanel: an error there pauses it.`;
  return [...(isSilent ? [silence] : []), ...(note === null ? [] : [note])].join(' ') || null;
}
