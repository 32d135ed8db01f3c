import { type Expression, type RawBuilder, sql } from 'kysely';
import { type Columns, cohortColumns, exportColumns, rowAt, runColumns } from '../columns.ts';
import type { Db } from '../connect.ts';
import { hotStatement } from '../hot-statement.ts';
import type { CohortRow, ExportRow, IntegrationRow, SyncRunRow } from '../tables.ts';
import type { CohortSource, ExportStatus, Provider, SyncType } from '../values.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

/**
 * A cohort, its export, that one's integration and newest run, read by one statement. What was not asked for is undefined,
 * what is not there is null. Rows hold the columns that were asked for, and their ids.
 */
export interface Card {
  cohort?: CohortRow | undefined;
  export?: ExportRow | null | undefined;
  integration?: IntegrationRow | null | undefined;
  run?: SyncRunRow | null | undefined;
}

export interface Wanted {
  cohort?: Columns<CohortRow> | undefined;
  export?: Columns<ExportRow> | undefined;
  integration?: Columns<IntegrationRow> | undefined;
  run?: Columns<SyncRunRow> | undefined;
  /** How many rows the whole list has. */
  total?: boolean | undefined;
}

export interface CardPage {
  cards: Card[];
  /** Undefined when it was not asked for, or the page has no row to tell it. */
  total: number | undefined;
}

export interface CohortFilter {
  /** Part of the name, whatever its case. */
  search?: string | undefined;
  source?: readonly CohortSource[] | undefined;
}

interface CohortPageValues {
  projectId: string;
  provider: Provider;
  pattern: string;
  source: readonly CohortSource[];
  afterName: string;
  afterId: string;
  limit: number;
}

const cohortPage = hotStatement<CohortPageValues>('cohort_page');

/** Cohorts by name (code points), then id; after the given name and id. */
export async function listCohortCards(
  { db, projectId }: ProjectScope,
  filter: CohortFilter,
  page: { limit: number; after: { name: string; id: string } | undefined },
  wanted: Wanted,
): Promise<CardPage> {
  const pattern = patternOf(filter.search);
  const own = sql`name collate "C"`;
  const rows = await cohortPage.run(
    db,
    [nameOfWanted(wanted), pattern && 'search', filter.source && 'source', page.after && 'after'].join(),
    (compiler, slot) => {
      const filtered = () =>
        inProject(compiler, slot('projectId'))
          .cohorts()
          .$if(filter.source !== undefined, (query) => query.where(isAnyOf('source', slot('source'))))
          .$if(pattern !== undefined, (query) => query.where('name', 'ilike', slot('pattern')));
      const cohorts = filtered()
        .select([...(wanted.cohort ?? cohortColumns.all).names])
        .$if(page.after !== undefined, (query) =>
          query.where(
            sql<boolean>`(${own}, id) > (${slot('afterName')}::text collate "C", ${slot('afterId')}::bigint)`,
          ),
        )
        .orderBy(own)
        .orderBy('id')
        .limit(slot('limit'));
      const provider = inProject(compiler, slot('projectId'))
        .integrations()
        .select('id')
        .where('provider', '=', slot('provider'));
      const exports = compiler
        .selectFrom('exports')
        .selectAll()
        .where('exports.cohort_id', '=', sql<string>`cohort.id`)
        .where('exports.integration_id', '=', provider)
        .limit(sql.lit(1));
      return sql`select ${valuesOf(wanted, filtered().select(sql<number>`count(*)::int`.as('rows')))}
        from (${cohorts}) as cohort
        ${wanted.export ? sql`left join lateral (${exports}) as export on true` : sql``}
        ${belowExport(compiler, wanted)}
        order by cohort.name collate "C", cohort.id`;
    },
    {
      projectId,
      provider: 'ITERABLE',
      pattern: pattern ?? '',
      source: filter.source ?? [],
      afterName: page.after?.name ?? '',
      afterId: page.after?.id ?? '0',
      limit: page.limit,
    },
  );
  return toPage(wanted, rows);
}

export interface ExportFilter {
  syncType?: readonly SyncType[] | undefined;
  status?: readonly ExportStatus[] | undefined;
  integrationId?: string | undefined;
}

interface ExportPageValues {
  projectId: string;
  integrationId: string;
  syncType: readonly SyncType[];
  status: readonly ExportStatus[];
  after: number;
  limit: number;
}

const exportPage = hotStatement<ExportPageValues>('export_page');

/** Exports, newest first; after the one with the id `after`. */
export async function listExportCards(
  { db, projectId }: ProjectScope,
  filter: ExportFilter,
  page: { limit: number; after: number | undefined },
  wanted: Wanted,
): Promise<CardPage> {
  const { syncType, status, integrationId } = filter;
  const conditions = [syncType && 'type', status && 'status', integrationId && 'integration'];
  const rows = await exportPage.run(
    db,
    [nameOfWanted(wanted), ...conditions, page.after !== undefined && 'after'].join(),
    (compiler, slot) => {
      const filtered = () =>
        inProject(compiler, slot('projectId'))
          .exports()
          .$if(syncType !== undefined, (query) => query.where(isAnyOf('sync_type', slot('syncType'))))
          .$if(status !== undefined, (query) => query.where(isAnyOf('status', slot('status'))))
          .$if(integrationId !== undefined, (query) =>
            query.where('integration_id', '=', slot('integrationId')),
          );
      const exports = filtered()
        .select([...(wanted.export ?? exportColumns.all).names])
        .$if(page.after !== undefined, (query) => query.where('id', '<', slot('after')))
        .orderBy('id', 'desc')
        .limit(slot('limit'));
      return sql`select ${valuesOf(wanted, filtered().select(sql<number>`count(*)::int`.as('rows')))}
        from (${exports}) as export
        ${wanted.cohort ? sql`join cohorts as cohort on cohort.id = export.cohort_id` : sql``}
        ${belowExport(compiler, wanted)}
        order by export.id desc`;
    },
    {
      projectId,
      integrationId: integrationId ?? '0',
      syncType: syncType ?? [],
      status: status ?? [],
      after: page.after ?? 0,
      limit: page.limit,
    },
  );
  return toPage(wanted, rows);
}

/** Laterals, because each of them is one look-up in an index, whatever the planner thinks of the size of the tables. */
function belowExport(compiler: Db, { integration, run }: Wanted): RawBuilder<unknown> {
  const runs = compiler
    .selectFrom('sync_runs')
    .select([...(run ?? runColumns.all).names])
    .where('sync_runs.export_id', '=', sql<number>`export.id`)
    .orderBy('id', 'desc')
    .limit(sql.lit(1));
  return sql`
    ${integration ? sql`left join integrations as integration on integration.id = export.integration_id` : sql``}
    ${run ? sql`left join lateral (${runs}) as run on true` : sql``}`;
}

const PARTS = ['cohort', 'export', 'integration', 'run'] as const;

/** The same for all that want the same. */
export function nameOfWanted(wanted: Wanted): string {
  return [...PARTS.map((part) => wanted[part]?.key), wanted.total && 'total'].join(' ');
}

/** Everything that is wanted, part by part; the total is the last. */
function valuesOf(wanted: Wanted, count: Expression<unknown>) {
  const values = PARTS.flatMap((part) =>
    (wanted[part]?.names ?? []).map((name) => sql.ref(`${part}.${name}`)),
  );
  return sql.join(wanted.total ? [...values, sql`(${count})`] : values);
}

function toPage(wanted: Wanted, rows: unknown[][]): CardPage {
  const { cohort, integration, run } = wanted;
  const exported = wanted.export;
  const cards = rows.map((values): Card => {
    let start = 0;
    const take = <Row>(columns: Columns<Row> | undefined): Row | null | undefined => {
      if (!columns) return undefined;
      const from = start;
      start += columns.names.length;
      // Its first column is the id.
      return values[from] === null ? null : rowAt(columns, values, from);
    };
    return {
      cohort: take(cohort) ?? undefined,
      export: take(exported),
      integration: take(integration),
      run: take(run),
    };
  });
  return { cards, total: wanted.total ? (rows[0]?.at(-1) as number | undefined) : undefined };
}

function patternOf(search: string | undefined): string | undefined {
  return search === undefined || search === '' ? undefined : `%${search.replace(/[\\%_]/g, '\\$&')}%`;
}
