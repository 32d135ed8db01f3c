import { listCohortCards, type Wanted } from '../../db/queries/card.ts';
import { countCohorts } from '../../db/queries/cohort.ts';
import type { CohortRow, ExportRow } from '../../db/tables.ts';
import type { CohortSource, Provider } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { NotFoundError } from '../errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { importCohort as importFile, type UploadedFile } from '../sync/sources/file/import-cohort.ts';
import { carriedBy, carry } from './card.ts';
import { type Connection, isRowId, type PageArgs, pageOf } from './page.ts';

export async function requireCohort({ load }: Context, cohortId: string): Promise<CohortRow> {
  const cohort = await load.cohort.load(cohortId);
  if (!cohort) throw new NotFoundError('cohort');
  return cohort;
}

/** Each with its export and whatever else of it the operation asks for. */
export function readCohorts(
  { viewer, sync }: Context,
  args: PageArgs & {
    search?: string | null | undefined;
    source?: readonly CohortSource[] | null | undefined;
  },
  wanted: Wanted,
): Promise<Connection<CohortRow>> {
  const scope = { db: sync.db, projectId: viewer.project.id };
  const filter = { search: args.search ?? undefined, source: args.source ?? undefined };
  let counted: number | undefined;
  return pageOf(args, {
    keyOf: (cohort: CohortRow) => ({ name: cohort.name, id: cohort.id }),
    parseKey: (value) => {
      const { name, id } = (value ?? {}) as { name?: unknown; id?: unknown };
      return typeof name === 'string' && !name.includes('\0') && isRowId(id) ? { name, id } : undefined;
    },
    async load(page) {
      const { cards, total } = await listCohortCards(scope, filter, page, wanted);
      counted = total;
      return cards.map((card) => carry(card).cohort!);
    },
    count: async () => counted ?? (await countCohorts(scope, filter)),
  });
}

export function readExportOfCohort(
  ctx: Context,
  cohort: CohortRow,
  provider: Provider,
): MaybePromise<ExportRow | null | undefined> {
  const exported = carriedBy(cohort)?.export;
  return exported === undefined ? ctx.load.exportOfCohort[provider].load(cohort.id) : exported;
}

export function importCohort(
  { viewer, sync }: Context,
  input: { name: string; file: UploadedFile },
): Promise<CohortRow> {
  return importFile(sync.engine, { projectId: viewer.project.id, ...input });
}

/** Mixpanel pushes every half hour, also when nothing has changed. */
const SILENT_AFTER_MS = 3_600_000;

/** What of the cohort could not be used, and why the members of a pushed one may not be up to date. */
export function cohortWarning(
  { sync }: Context,
  { last_received_at: at, source_note: note }: CohortRow,
): string | null {
  const isSilent = at !== null && sync.clock.now().getTime() - at.getTime() > SILENT_AFTER_MS;
  const silence = `Mixpanel has pushed nothing since ${at?.toISOString()}; it does so every 30 minutes. See to the sync in Mixpanel: an error there pauses it.`;
  return [...(isSilent ? [silence] : []), ...(note === null ? [] : [note])].join(' ') || null;
}
