import { z } from 'zod';
import { exchange, failureText, type PartnerResponse, quote, retryAfterMs } from '../../partner-http.ts';
import type { SourceMember } from '../source.ts';
import {
  CohortUnknownError,
  MixpanelBusyError,
  type MixpanelError,
  MixpanelPlanError,
  MixpanelQuotaError,
  MixpanelUnauthorizedError,
  MixpanelUnavailableError,
  MixpanelUnexpectedAnswerError,
  SessionLostError,
} from './errors.ts';

export interface MixpanelCohort {
  id: string;
  name: string;
  description: string;
  /** As Mixpanel last computed it. */
  count: number | null;
  /** Group cohorts cannot be exported. */
  isGroup: boolean;
}

export interface MembersQuery {
  cohortId: string;
  page: number;
  /** Of page 0; every later page needs it. */
  sessionId?: string;
  signal?: AbortSignal | undefined;
}

export interface MembersAnswer {
  sessionId: string;
  pageSize: number;
  /** People of the whole query; some answers give it on the first page only. */
  total: number | null;
  members: SourceMember[];
}

/** Mixpanel's Query API as one project's service account. One request each, never repeated. Throws MixpanelError. */
export interface MixpanelClient {
  listCohorts(options?: { signal?: AbortSignal | undefined }): Promise<MixpanelCohort[]>;
  queryMembers(query: MembersQuery): Promise<MembersAnswer>;
}

/** Heavy queries take minutes (other connectors wait as long). */
const TIMEOUT_MS = 300_000;

const cohortsAnswer = z.array(
  z.object({
    id: z.union([z.int(), z.string()]),
    name: z.string(),
    description: z.string().nullish(),
    count: z.int().min(0).nullish(),
    data_group_id: z.unknown().optional(),
  }),
);

export function createMixpanelClient(connection: {
  baseUrl: string;
  projectId: string;
  username: string;
  secret: string;
  timeoutMs?: number;
}): MixpanelClient {
  const { baseUrl, projectId, username, secret, timeoutMs = TIMEOUT_MS } = connection;
  const headers = {
    authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  };

  async function post(path: string, form: Record<string, string>, page: number, signal?: AbortSignal) {
    const response = await exchange({
      url: `${baseUrl}/api/query/${path}?project_id=${encodeURIComponent(projectId)}`,
      method: 'POST',
      headers,
      body: new URLSearchParams(form).toString(),
      timeoutMs,
      signal,
    }).catch((error) => {
      signal?.throwIfAborted();
      throw new MixpanelUnavailableError(`Mixpanel: ${failureText(error)}.`, { cause: error });
    });
    if (response.status !== 200) throw toError(response, path, page);
    try {
      return JSON.parse(response.text) as unknown;
    } catch {
      throw new MixpanelUnavailableError('Mixpanel answered 200 with something that is not JSON.', {
        status: 200,
      });
    }
  }

  return {
    async listCohorts({ signal } = {}) {
      const result = cohortsAnswer.safeParse(await post('cohorts/list', {}, 0, signal));
      if (!result.success) {
        const issue = result.error.issues[0];
        throw unexpected(`cohorts: ${issue?.path.join('.')}: ${issue?.message}`);
      }
      // By id, because nothing promises that none comes twice. PostgreSQL's text cannot hold NUL.
      const byId = new Map(result.data.map((cohort) => [String(cohort.id), cohort]));
      return [...byId].map(([id, cohort]) => ({
        id,
        name: cohort.name.replaceAll('\0', '\uFFFD'),
        description: (cohort.description ?? '').replaceAll('\0', '\uFFFD'),
        count: cohort.count ?? null,
        isGroup: cohort.data_group_id !== null && cohort.data_group_id !== undefined,
      }));
    },
    async queryMembers({ cohortId, page, sessionId, signal }) {
      const form: Record<string, string> = {
        filter_by_cohort: JSON.stringify({ id: Number(cohortId) }),
        include_all_users: 'true',
        output_properties: '["$email","$iterable_user_id"]',
        ...(page > 0 && sessionId !== undefined ? { session_id: sessionId, page: String(page) } : {}),
      };
      return readMembersAnswer(await post('engage', form, page, signal));
    },
  };
}

/** By hand: a schema would cost more than all else that is done for each of a million people. */
function readMembersAnswer(answer: unknown): MembersAnswer {
  if (typeof answer !== 'object' || answer === null) throw unexpected('engage: the body is no object');
  const { results, session_id, page_size, total } = answer as Record<string, unknown>;
  if (!Array.isArray(results)) throw unexpected('engage: results is no array');
  if (typeof session_id !== 'string') throw unexpected('engage: session_id is no string');
  if (typeof page_size !== 'number' || page_size < 1) throw unexpected('engage: page_size is no number');
  return {
    sessionId: session_id,
    pageSize: page_size,
    total: typeof total === 'number' ? total : null,
    members: results.map(readMember),
  };
}

function readMember(result: unknown): SourceMember {
  const { $distinct_id: id, $properties } = (result ?? {}) as Record<string, unknown>;
  if (typeof id !== 'string' && typeof id !== 'number')
    throw unexpected('engage: a $distinct_id is no string');
  const properties = ($properties ?? {}) as Record<string, unknown>;
  return {
    distinctId: String(id),
    email: properties.$email,
    userId: properties.$iterable_user_id,
  };
}

function unexpected(what: string): MixpanelUnexpectedAnswerError {
  return new MixpanelUnexpectedAnswerError(
    `Mixpanel answered something else than its documentation says: ${what}.`,
  );
}

function toError(response: PartnerResponse, path: string, page: number): MixpanelError {
  const { status, text } = response;
  const words = quote(readErrorText(text));
  const message = `Mixpanel answered ${status}${words === '' ? '' : ` (${words})`}.`;
  const options = { status };
  if (status === 401 || status === 403) return new MixpanelUnauthorizedError(message, options);
  if (status === 402) {
    return new MixpanelPlanError(
      `${message} Reading cohorts needs a paid plan with the Query API: see to it in Mixpanel's billing settings.`,
      options,
    );
  }
  if (status === 429) return toRefusal(message, response);
  if (status >= 500 || status === 408) return new MixpanelUnavailableError(message, options);
  if (/unable to authenticate/i.test(text)) return new MixpanelUnauthorizedError(message, options);
  if (/timeout error/i.test(text)) return new MixpanelUnavailableError(message, options);
  if (status === 400 && page > 0) return new SessionLostError(message, options);
  if (path === 'engage' && (status === 400 || status === 404))
    return new CohortUnknownError(message, options);
  return new MixpanelUnexpectedAnswerError(message, options);
}

/** Shorter waits are waited out where the request is made. */
const LONG_WAIT_MS = 60_000;
/** Unless Mixpanel says how long others' queries will take. */
const BUSY_WAIT_MS = 5_000;

/** The text tells which limit it is, as in "61/60 queries running in the last hour". */
function toRefusal(message: string, { status, text, headers }: PartnerResponse): MixpanelError {
  const [, used, allowed] = /(\d+)\/(\d+) queries running in the last hour/.exec(text) ?? [];
  const askedMs = retryAfterMs(headers);
  if (Number(used) >= Number(allowed) || (askedMs ?? 0) >= LONG_WAIT_MS) {
    return new MixpanelQuotaError(message, {
      status,
      ...(askedMs === undefined ? {} : { retryAfterMs: askedMs }),
    });
  }
  return new MixpanelBusyError(message, { status, retryAfterMs: askedMs ?? BUSY_WAIT_MS });
}

function readErrorText(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error : text;
  } catch {
    return text;
  }
}
