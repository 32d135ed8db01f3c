/** What a page shows may be a moment old here: nobody asks for a quota's delay again within a second. */
const DELAY_KEPT_MS = 1_000;

/**
 * @typedef {{ projectId: string, role: string }} Viewer
 * @typedef {{ viewer: Viewer }} Context
 * @typedef {{ first?: number | null, after?: string | null }} PageArgs
 * @typedef {(name: string, values: unknown[]) => Promise<any[]>} Query
 */

/** @param {{ query: Query, queriesPerHour: number, queriesForRuns: number }} options */
export function createResolvers({ query, queriesPerHour, queriesForRuns }) {
  const readDelay = createDelay({ query, queriesPerHour, queriesForRuns });

  const resolvers = {
    DateTime: { serialize: (/** @type {Date} */ at) => at.toISOString() },
    Query: {
      /** @type {(root: unknown, args: unknown, context: Context) => unknown} */
      integrations: (_root, _args, { viewer }) => query('integrations', [viewer.projectId]),
      /** @type {(root: unknown, args: PageArgs, context: Context) => unknown} */
      async cohorts(_root, { first, after }, { viewer }) {
        const limit = first ?? 20;
        const key = after == null ? undefined : readCursor(after);
        const rows = await query(key ? 'cohortsAfter' : 'cohorts', [
          viewer.projectId,
          limit + 1,
          ...(key ?? []),
        ]);
        return pageOf(rows, limit, ({ name, id }) => [name, id]);
      },
      /** @type {(root: unknown, args: PageArgs, context: Context) => unknown} */
      async exports(_root, { first, after }, { viewer }) {
        const limit = first ?? 20;
        const key = after == null ? undefined : readCursor(after);
        const rows = await query(key ? 'exportsBefore' : 'exports', [
          viewer.projectId,
          limit + 1,
          ...(key ?? []),
        ]);
        return pageOf(rows, limit, ({ id }) => [id]);
      },
    },
    SyncRun: { counts: (/** @type {object} */ run) => run },
  };

  /** Without their cache, which would print each row to make a key of it. */
  const loaders = {
    Cohort: {
      export: uncached((queries, { viewer }) =>
        oneEach(queries, 'id', 'cohortId', (ids) => query('exportsByCohort', [viewer.projectId, ids])),
      ),
    },
    Export: {
      cohort: uncached((queries, { viewer }) =>
        oneEach(queries, 'cohortId', 'id', (ids) => query('cohortsById', [viewer.projectId, ids])),
      ),
      integration: uncached((queries, { viewer }) =>
        oneEach(queries, 'integrationId', 'id', (ids) => query('integrationsById', [viewer.projectId, ids])),
      ),
      lastRun: uncached((queries, { viewer }) =>
        oneEach(queries, 'id', 'exportId', (ids) => query('runsOfExports', [viewer.projectId, ids, 1])),
      ),
      delay: uncached(async (queries, { viewer }) => {
        const delay = queries.some(({ obj }) => obj.nextRunAt !== null)
          ? await readDelay(viewer.projectId)
          : null;
        return queries.map(({ obj }) => (obj.nextRunAt === null ? null : delay));
      }),
      runs: uncached(async (queries, { viewer }) => {
        // One field of an operation, so every parent asks for as many.
        const limit = queries[0]?.params.first ?? 20;
        const ids = queries.map(({ obj }) => obj.id);
        const rows = await query('runsOfExports', [viewer.projectId, ids, limit + 1]);
        const byExport = Map.groupBy(rows, (row) => row.exportId);
        return ids.map((id) => pageOf(byExport.get(id) ?? [], limit, (run) => [run.id]));
      }),
    },
    SyncRun: {
      rejectedByReason: uncached(async (queries, { viewer }) => {
        const ids = queries.map(({ obj }) => obj.id);
        const byRun = Map.groupBy(
          await query('rejectionsByRun', [viewer.projectId, ids]),
          (row) => row.runId,
        );
        return ids.map((id) => byRun.get(id) ?? []);
      }),
    },
  };
  return { resolvers, loaders };
}

/** @param {(queries: { obj: any, params: any }[], context: Context) => Promise<unknown[]>} loader */
function uncached(loader) {
  return { loader, opts: { cache: false } };
}

/**
 * @param {{ obj: any }[]} queries
 * @param {string} ownKey
 * @param {string} theirKey
 * @param {(keys: unknown[]) => Promise<any[]>} find
 */
async function oneEach(queries, ownKey, theirKey, find) {
  const rows = await find([...new Set(queries.map(({ obj }) => obj[ownKey]))]);
  const byKey = new Map(rows.map((row) => [row[theirKey], row]));
  return queries.map(({ obj }) => byKey.get(obj[ownKey]) ?? null);
}

/**
 * @param {any[]} rows One more than the page has, if there are more.
 * @param {number} limit
 * @param {(row: any) => unknown[]} keyOf
 */
function pageOf(rows, limit, keyOf) {
  const edges = rows.slice(0, limit).map((node) => ({ node, cursor: writeCursor(keyOf(node)) }));
  return { edges, pageInfo: { hasNextPage: rows.length > limit, endCursor: edges.at(-1)?.cursor ?? null } };
}

/** @param {unknown[]} key */
function writeCursor(key) {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** @param {string} cursor @returns {unknown[]} */
function readCursor(cursor) {
  return JSON.parse(Buffer.from(cursor, 'base64url').toString());
}

/** @param {{ query: Query, queriesPerHour: number, queriesForRuns: number }} options */
function createDelay({ query, queriesPerHour, queriesForRuns }) {
  /** @type {Map<string, { delay: Promise<object>, until: number }>} */
  const kept = new Map();
  return (/** @type {string} */ projectId) => {
    const known = kept.get(projectId);
    if (known && known.until > Date.now()) return known.delay;
    const delay = query('polledExports', [projectId]).then(([{ count }]) => ({
      reason: `Mixpanel allows ${queriesPerHour} queries an hour for the project, and its dynamic exports ask for more: they take turns.`,
      achievableIntervalMinutes: (count * 60) / queriesForRuns,
    }));
    kept.set(projectId, { delay, until: Date.now() + DELAY_KEPT_MS });
    return delay;
  };
}
