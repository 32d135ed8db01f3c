import { isDeepStrictEqual } from 'node:util';
import type { Api } from '../support/api.ts';

export interface Operation {
  name: string;
  query: string;
  /** The connection that it pages through, and how many rows it asks for. */
  pages: { field: 'cohorts' | 'exports'; first: number };
}

/** What a dashboard shows first. */
export const dashboard: Operation = {
  name: 'dashboard',
  query: `query Dashboard($first: Int, $after: String) {
  integrations { id provider status attention apiKeyHint connectedAt }
  cohorts(first: $first, after: $after) {
    edges { node {
      id name source memberCount present refreshedAt
      export {
        id status syncType listName listSize nextRunAt delay { reason achievableIntervalMinutes }
        lastRun {
          id status phase progress startedAt finishedAt
          counts { members added unchanged removed rejected notProcessed }
        }
      }
    } }
    pageInfo { hasNextPage endCursor }
  }
}`,
  pages: { field: 'cohorts', first: 20 },
};

/** One that nothing is tuned for. */
export const latestRuns: Operation = {
  name: 'exports with their last runs',
  query: `query LatestRuns($first: Int, $after: String) {
  exports(first: $first, after: $after) {
    edges { node {
      id status syncType listName listSize
      cohort { id name source memberCount }
      integration { id provider status }
      runs(first: 5) { edges { node {
        id status trigger startedAt finishedAt
        counts { members added unchanged removed rejected }
        rejectedByReason { reason count }
      } } }
    } }
    pageInfo { hasNextPage endCursor }
  }
}`,
  pages: { field: 'exports', first: 50 },
};

/** Opaque, so each server has its own. */
const OPAQUE = new Set(['id', 'cursor', 'endCursor']);

/** Throws unless both say the same, but for what is opaque. Names the first field that differs. */
export function compareAnswers(ours: unknown, theirs: unknown, path = 'data'): void {
  if (typeof ours === 'object' && ours !== null && typeof theirs === 'object' && theirs !== null) {
    const left = ours as Record<string, unknown>;
    const right = theirs as Record<string, unknown>;
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      if (!OPAQUE.has(key)) compareAnswers(left[key], right[key], `${path}.${key}`);
    }
  } else if (!isDeepStrictEqual(ours, theirs)) {
    throw new Error(`${path} is ${JSON.stringify(ours)} here and ${JSON.stringify(theirs)} at the peer.`);
  }
}

/** A cursor at each row after which there is a full page. */
export async function readCursors(
  api: Pick<Api, 'query'>,
  { pages: { field, first } }: Operation,
): Promise<string[]> {
  const cursors: string[] = [];
  let hasNextPage = true;
  while (hasNextPage) {
    const { page } = await api.query(
      `query ($after: String) { page: ${field}(first: 100, after: $after) {
        edges { cursor } pageInfo { hasNextPage } } }`,
      { after: cursors.at(-1) ?? null },
    );
    for (const { cursor } of page.edges) cursors.push(cursor);
    hasNextPage = page.pageInfo.hasNextPage;
  }
  return cursors.slice(0, -first);
}
