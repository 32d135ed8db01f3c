import { type CardPage, listExportCards, type Wanted } from '../../db/queries/card.ts';
import { countExports } from '../../db/queries/export.ts';
import type { CohortRow, ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import type { ExportStatus, SyncType } from '../../db/values.ts';
import type { Context } from '../context.ts';
import type { Env } from '../env.ts';
import { NotFoundError } from '../errors.ts';
import { type MaybePromise, withBoth } from '../maybe-promise.ts';
import * as states from '../sync/export-state.ts';
import { listNameFor } from '../sync/list-name.ts';
import type { SyncPreview } from '../sync/preview-sync.ts';
import * as preview from '../sync/preview-sync.ts';
import type { ExportDelay } from '../sync/query-budget.ts';
import { type QuerySchedule, readQuerySchedule } from '../sync/query-schedule.ts';
import * as queue from '../sync/queue-run.ts';
import { approvalDelay } from '../sync/removal-guard.ts';
import { startExport } from '../sync/start-export.ts';
import { carriedBy, carry } from './card.ts';
import { requireCohort } from './cohort.ts';
import { requireIntegration } from './integration.ts';
import { requireMixpanel } from './mixpanel-account.ts';
import { type Connection, isExportId, type PageArgs, pageOf } from './page.ts';
import { waitOf } from './run-facts.ts';

export async function requireExport({ load }: Context, exportId: number): Promise<ExportRow> {
  const exported = await load.export.load(exportId);
  if (!exported) throw new NotFoundError('export');
  return exported;
}

type ExportArgs = PageArgs & {
  syncType?: readonly SyncType[] | null | undefined;
  status?: readonly ExportStatus[] | null | undefined;
};

/** Each with its cohort and whatever else of it the operation asks for. */
export function readExports(
  { viewer, sync }: Context,
  args: ExportArgs,
  wanted: Wanted,
): Promise<Connection<ExportRow>> {
  const scope = { db: sync.db, projectId: viewer.project.id };
  const filter = { syncType: args.syncType ?? undefined, status: args.status ?? undefined };
  return pageOfExports(args, {
    load: (page) => listExportCards(scope, filter, page, wanted),
    count: () => countExports(scope, filter),
  });
}

export function readExportsOf(
  { load }: Context,
  integration: IntegrationRow,
  args: PageArgs,
  wanted: Wanted,
): Promise<Connection<ExportRow>> {
  return pageOfExports(args, {
    load: (page) => load.exports({ ...page, wanted }, integration.id),
    count: () => load.exportCount({}, integration.id),
  });
}

function pageOfExports(
  args: PageArgs,
  list: {
    load: (page: { limit: number; after: number | undefined }) => Promise<CardPage>;
    count: () => Promise<number>;
  },
): Promise<Connection<ExportRow>> {
  let counted: number | undefined;
  return pageOf(args, {
    keyOf: (exported: ExportRow) => exported.id,
    parseKey: (value) => (isExportId(value) ? value : undefined),
    async load(page) {
      const { cards, total } = await list.load(page);
      counted = total;
      return cards.map((card) => carry(card).export!);
    },
    count: async () => counted ?? (await list.count()),
  });
}

/** Rows of the same project as the export that names them: they are always there. */
export function readCohortOf(ctx: Context, exported: ExportRow): MaybePromise<CohortRow> {
  return carriedBy(exported)?.cohort ?? ctx.load.cohort.load(exported.cohort_id).then((row) => row!);
}

export function readIntegrationOf(ctx: Context, exported: ExportRow): MaybePromise<IntegrationRow> {
  return (
    carriedBy(exported)?.integration ?? ctx.load.integration.load(exported.integration_id).then((row) => row!)
  );
}

export function readLastRun(ctx: Context, exported: ExportRow): MaybePromise<SyncRunRow | null | undefined> {
  const run = carriedBy(exported)?.run;
  return run === undefined ? ctx.load.lastRun.load(exported.id) : run;
}

/** True when the list bears another name than a list of the cohort would be given now. */
export async function isListNameOutdated(ctx: Context, exported: ExportRow): Promise<boolean> {
  if (exported.list_id === null) return false;
  const cohort = await readCohortOf(ctx, exported);
  return exported.list_name !== listNameFor(cohort.name, cohort.external_id);
}

/** Null unless a run will come by itself. */
export function readNextRunAt(ctx: Context, exported: ExportRow): MaybePromise<Date | null> {
  if (exported.sync_type !== 'DYNAMIC' || exported.status !== 'ACTIVE') return null;
  // At once, so that all that a page asks of the schedule is one statement.
  return withBoth(readIntegrationOf(ctx, exported), readSchedule(ctx, exported), ({ status }, schedule) =>
    status === 'CONNECTED' ? (schedule?.due.get(exported.id)?.at ?? exported.next_run_at) : null,
  );
}

export function readIntervalMinutes({ sync }: Context, exported: ExportRow): number | null {
  return exported.sync_type === 'DYNAMIC' ? sync.env.dynamicSyncIntervalMs / 60_000 : null;
}

/** Null unless runs have to wait: for an approval, for a query, or because more are asked for than Mixpanel's quota allows. */
export function readDelay(ctx: Context, exported: ExportRow): MaybePromise<ExportDelay | null> {
  return withBoth(readLastRun(ctx, exported), readSchedule(ctx, exported), (newest, schedule) => {
    if (newest?.status === 'AWAITING_APPROVAL') return approvalDelay(newest, ctx.sync.env);
    if (newest?.wait_reason === 'QUERY_QUOTA') return waitDelay(newest, schedule?.delay, ctx.sync.env);
    if (exported.sync_type !== 'DYNAMIC' || exported.status !== 'ACTIVE') return null;
    return schedule?.delay ?? null;
  });
}

/** The newest run waits for its query; how often runs can be had is the schedule's to say. */
function waitDelay(
  run: SyncRunRow,
  delay: ExportDelay | null | undefined,
  env: Pick<Env, 'dynamicSyncIntervalMs'>,
): ExportDelay {
  const until = run.wait_until ? ` Until ${run.wait_until.toISOString()} at the earliest.` : '';
  return {
    reason: `${waitOf(run)!.message}${until}`,
    achievableIntervalMinutes: delay?.achievableIntervalMinutes ?? env.dynamicSyncIntervalMs / 60_000,
  };
}

function readSchedule(ctx: Context, exported: ExportRow): MaybePromise<QuerySchedule | undefined> {
  const cohort = readCohortOf(ctx, exported);
  if (cohort instanceof Promise) return cohort.then((row) => readScheduleOf(ctx, row));
  return readScheduleOf(ctx, cohort);
}

function readScheduleOf(
  { viewer, sync, live }: Context,
  { source }: CohortRow,
): MaybePromise<QuerySchedule | undefined> {
  if (source !== 'MIXPANEL') return undefined;
  const projectId = viewer.project.id;
  return live.remember(projectId, 'schedule', sync.clock.now(), () => readQuerySchedule(sync, { projectId }));
}

export async function startSync(
  ctx: Context,
  input: { cohortId: string; provider: 'ITERABLE'; syncType: SyncType },
): Promise<SyncRunRow> {
  const cohort = await requireCohort(ctx, input.cohortId);
  const integration = await requireIntegration(ctx, input.provider);
  if (cohort.source !== 'FILE') await requireMixpanel(ctx);
  const startedBy = ctx.viewer.tokenName;
  return await startExport(ctx.sync, { cohort, integration, syncType: input.syncType, startedBy });
}

/** What startSync would do now. */
export async function previewSync(
  ctx: Context,
  input: { cohortId: string; provider: 'ITERABLE' },
): Promise<SyncPreview> {
  const cohort = await requireCohort(ctx, input.cohortId);
  const integration = await requireIntegration(ctx, input.provider);
  const mixpanel = cohort.source !== 'FILE' ? await requireMixpanel(ctx) : undefined;
  return await preview.previewSync(ctx.sync.engine, { cohort, integration, mixpanel });
}

export async function runExport(
  ctx: Context,
  exportId: number,
  options: { includeKept: boolean },
): Promise<SyncRunRow> {
  const exported = await requireExport(ctx, exportId);
  await requirePartners(ctx, exported);
  return await queue.runExport(ctx.sync, exported, { ...options, startedBy: ctx.viewer.tokenName });
}

/** Throws NotFoundError and MIXPANEL_NOT_CONNECTED: whatever a run of the export reads from has to be there. */
export async function requirePartners(ctx: Context, exported: ExportRow): Promise<void> {
  await requireIntegration(ctx, 'ITERABLE');
  const cohort = await readCohortOf(ctx, exported);
  if (cohort.source !== 'FILE') await requireMixpanel(ctx);
}

export async function pauseExport(ctx: Context, exportId: number): Promise<ExportRow> {
  return await states.pauseExport(ctx.sync, await requireExport(ctx, exportId));
}

export async function resumeExport(ctx: Context, exportId: number): Promise<ExportRow> {
  return await states.resumeExport(ctx.sync, await requireExport(ctx, exportId));
}

export async function stopExport(
  ctx: Context,
  exportId: number,
  listAction: states.ListAction,
): Promise<ExportRow> {
  const exported = await requireExport(ctx, exportId);
  return await states.stopExport(ctx.sync, exported, { action: listAction, actor: ctx.viewer.tokenName });
}
