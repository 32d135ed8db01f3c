import { type Behavior, readBehaviors } from './behaviors.ts';
import { type Expression, parseExpression } from './expression.ts';
import { parseParam } from './params.ts';
import { RefusedQueryError } from './refused-query.ts';

/** What /engage is asked for, page by page. */
export interface EngageQuery {
  /** People, or groups of this kind. */
  dataGroupId: number | undefined;
  cohortId: number | undefined;
  /** Those who have no profile too; of a cohort only. */
  includeAllUsers: boolean;
  distinctIds: string[] | undefined;
  where: Expression | undefined;
  behaviors: Behavior[] | undefined;
  /** Seconds since the epoch. */
  asOfTimestamp: number | undefined;
  outputProperties: string[] | undefined;
  pageSize: number | undefined;
  /** The same for each page of one query. */
  key: string;
}

export interface EngagePage {
  query: EngageQuery;
  page: number;
  sessionId: string | undefined;
}

/** Of one look-up. */
const MAX_DISTINCT_IDS = 2_000;

/** Everything that makes one query another. */
const QUERY_PARAMS = [
  'data_group_id',
  'filter_by_cohort',
  'include_all_users',
  'distinct_id',
  'distinct_ids',
  'where',
  'behaviors',
  'as_of_timestamp',
  'output_properties',
  'page_size',
] as const;

/** Throws RefusedQueryError. */
export function readEngagePage(params: URLSearchParams): EngagePage {
  const page = readInt(params, 'page', 0) ?? 0;
  const sessionId = params.get('session_id') ?? undefined;
  if (page > 0 && sessionId === undefined) {
    throw new RefusedQueryError('must have session_id when requesting page > 0');
  }
  const cohort = params.get('filter_by_cohort');
  const behaviors = params.get('behaviors');
  if (cohort !== null && behaviors !== null) {
    throw new RefusedQueryError('behaviors and filter_by_cohort are mutually exclusive');
  }
  const where = params.get('where') ?? '';
  const query: EngageQuery = {
    dataGroupId: readInt(params, 'data_group_id', 0),
    cohortId: cohort === null ? undefined : readCohortId(cohort),
    includeAllUsers: readBoolean(params, 'include_all_users') ?? true,
    distinctIds: readDistinctIds(params),
    where: where.trim() === '' ? undefined : parseExpression(where),
    behaviors: behaviors === null ? undefined : readBehaviors(behaviors),
    asOfTimestamp: readInt(params, 'as_of_timestamp', 0),
    outputProperties: readTexts(params, 'output_properties'),
    pageSize: readInt(params, 'page_size', 1),
    key: '',
  };
  return { query: { ...query, key: toKey(params, query) }, page, sessionId };
}

/** JSON is compared as what it says, include_all_users as what it is when left out, the rest word for word. */
function toKey(params: URLSearchParams, query: EngageQuery): string {
  const { cohortId, includeAllUsers, distinctIds, outputProperties } = query;
  const read: Record<string, unknown> = {
    filter_by_cohort: cohortId,
    include_all_users: includeAllUsers,
    distinct_id: undefined,
    distinct_ids: distinctIds,
    output_properties: outputProperties,
  };
  return JSON.stringify(
    QUERY_PARAMS.map((name) => [name, name in read ? (read[name] ?? null) : params.get(name)]),
  );
}

function readCohortId(text: string): number {
  const given = parseParam('filter_by_cohort', text);
  const { id, ...rest } = typeof given === 'object' && given !== null ? (given as { id?: unknown }) : {};
  const isId = (typeof id === 'number' || typeof id === 'string') && /^\d+$/.test(String(id));
  if (!isId || Object.keys(rest).length > 0) {
    throw new RefusedQueryError('filter_by_cohort must be a JSON object with a single key "id"');
  }
  return Number(id);
}

function readDistinctIds(params: URLSearchParams): string[] | undefined {
  const one = params.get('distinct_id');
  const several = readTexts(params, 'distinct_ids');
  if (one !== null && several) throw new RefusedQueryError('give distinct_id or distinct_ids, not both');
  if (several && several.length > MAX_DISTINCT_IDS) {
    throw new RefusedQueryError(`distinct_ids must not have more than ${MAX_DISTINCT_IDS} elements`);
  }
  return one === null ? several : [one];
}

function readTexts(params: URLSearchParams, name: string): string[] | undefined {
  const text = params.get(name);
  if (text === null) return undefined;
  const given = parseParam(name, text);
  if (Array.isArray(given) && given.every((one) => typeof one === 'string')) return given;
  throw new RefusedQueryError(`${name} must be a JSON array of strings`);
}

function readInt(params: URLSearchParams, name: string, least: number): number | undefined {
  const text = params.get(name);
  if (text === null) return undefined;
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text)) && Number(text) >= least) return Number(text);
  throw new RefusedQueryError(`${name} must be an integer of at least ${least}`);
}

function readBoolean(params: URLSearchParams, name: string): boolean | undefined {
  const text = params.get(name)?.toLowerCase();
  if (text === undefined) return undefined;
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw new RefusedQueryError(`${name} must be true or false`);
}
