import DataLoader from 'dataloader';
import type { Columns } from '../../db/columns.ts';
import { type CardPage, listExportCards, nameOfWanted, type Wanted } from '../../db/queries/card.ts';
import { countExports } from '../../db/queries/export.ts';
import {
  countPendingRemovals,
  listPendingRemovals,
  type PendingRemovalRow,
} from '../../db/queries/held-removal.ts';
import {
  countRunMembers,
  type LedgerRun,
  listRunMembers,
  type MemberFilter,
  type MemberPage,
  type RunMemberRow,
} from '../../db/queries/run-member.ts';
import type { ProjectScope } from '../../db/queries/scope.ts';
import {
  countRunsOfExports,
  listRunsOfExports,
  type RunFilter,
  type RunPage,
} from '../../db/queries/sync-run.ts';
import type { SyncRunRow } from '../../db/tables.ts';

/**
 * Pages and totals of many parents. Those of one tick that are asked for with the same arguments are read by one
 * statement, or by a few, however many parents there are.
 */
export interface PageLoaders {
  /** By the id of the integration. */
  exports: Grouped<{ limit: number; after: number | undefined; wanted: Wanted }, string, CardPage>;
  exportCount: Grouped<object, string, number>;
  /** By the id of the export. */
  runs: Grouped<RunPage & { columns: Columns<SyncRunRow> | undefined }, number, SyncRunRow[]>;
  runCount: Grouped<Pick<RunFilter, 'status'>, number, number>;
  members: Grouped<MemberFilter & MemberPage, LedgerRun, RunMemberRow[]>;
  memberCount: Grouped<MemberFilter, LedgerRun, number>;
  /** By the id of the run. */
  pendingRemovals: Grouped<{ limit: number; after: number | undefined }, string, PendingRemovalRow[]>;
  pendingRemovalCount: Grouped<object, string, number>;
}

type Grouped<Args, Key, Value> = (args: Args, key: Key) => Promise<Value>;

export function createPageLoaders(scope: ProjectScope): PageLoaders {
  const itself = <Key>(key: Key) => key;
  const idOf = (run: LedgerRun) => run.id;
  return {
    // A statement for each integration, of which a project has one for each provider.
    exports: grouped(
      itself,
      (ids, { wanted, ...page }) =>
        each(ids, (integrationId) => listExportCards(scope, { integrationId }, page, wanted)),
      () => ({ cards: [], total: 0 }),
      ({ wanted, limit, after }) => `${nameOfWanted(wanted)} ${limit} ${after}`,
    ),
    exportCount: grouped(
      itself,
      (ids) => each(ids, (integrationId) => countExports(scope, { integrationId })),
      () => 0,
    ),
    runs: grouped(
      itself,
      async (exportIds, { columns, ...page }) => {
        const rows = await listRunsOfExports(scope, exportIds, {}, page, columns);
        return Map.groupBy(rows, (run) => run.export_id);
      },
      () => [],
      ({ columns, limit, after }) => `${columns?.key} ${limit} ${after}`,
    ),
    runCount: grouped(
      itself,
      (exportIds, filter) => countRunsOfExports(scope, exportIds, filter),
      () => 0,
    ),
    members: grouped(
      idOf,
      (runs, args) => listRunMembers(scope.db, runs, args, args),
      () => [],
    ),
    memberCount: grouped(
      idOf,
      (runs, filter) => countRunMembers(scope, runs, filter),
      () => 0,
    ),
    pendingRemovals: grouped(
      itself,
      (runIds, page) => listPendingRemovals(scope.db, runIds, page),
      () => [],
    ),
    pendingRemovalCount: grouped(
      itself,
      (runIds) => countPendingRemovals(scope.db, runIds),
      () => 0,
    ),
  };
}

async function each<Value>(
  ids: string[],
  find: (id: string) => Promise<Value>,
): Promise<ReadonlyMap<string, Value>> {
  return new Map(await Promise.all(ids.map(async (id) => [id, await find(id)] as const)));
}

/** A loader for each set of arguments. As all loaders it remembers nothing. */
function grouped<Args extends object, Key, Id, Value>(
  idOf: (key: Key) => Id,
  find: (keys: Key[], args: Args) => Promise<ReadonlyMap<Id, Value>>,
  nothing: () => Value,
  nameOf: (args: Args) => string = JSON.stringify,
): Grouped<Args, Key, Value> {
  const loaders = new Map<string, DataLoader<Key, Value>>();
  return (args, key) => {
    const name = nameOf(args);
    let loader = loaders.get(name);
    if (!loader) {
      loader = new DataLoader<Key, Value>(
        async (keys) => {
          loaders.delete(name);
          const different = new Map(keys.map((one) => [idOf(one), one]));
          const found = await find([...different.values()], args);
          return keys.map((one) => found.get(idOf(one)) ?? nothing());
        },
        { cache: false },
      );
      loaders.set(name, loader);
    }
    return loader.load(key);
  };
}
