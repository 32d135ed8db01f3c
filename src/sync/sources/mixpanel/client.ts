import { z } from 'zod';
import {
  cutWords,
  decodeText,
  exchange,
  failureText,
  type PartnerResponse,
  parseAnswer,
  quote,
  retryAfterMs,
} from '../../partner-http.ts';
import { MAX_DESCRIPTION_LENGTH, shorten } from '../../shorten.ts';
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
import { type MembersAnswer, readPage } from './read-page.ts';

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

/** Mixpanel's Query API as one project's service account. One request each, never repeated. Throws MixpanelError. */
export interface MixpanelClient {
  listCohorts(options?: { signal?: AbortSignal | undefined }): Promise<CohortList>;
  queryMembers(query: MembersQuery): Promise<MembersAnswer>;
}

/** The cohorts of a project, and what of the list could not be read. */
export interface CohortList {
  cohorts: MixpanelCohort[];
  /** Rows that are left out. */
  unreadable: number;
  /** Of those of them that have one: Mixpanel lists them all the same. */
  unreadableIds: string[];
}

/** Heavy queries take minutes (other connectors wait as long). */
const TIMEOUT_MS = 300_000;

/** Mixpanel shows some thousands of cohorts of a project at most, each with a few hundred bytes. */
const MAX_COHORTS_BYTES = 16 * 1024 * 1024;
/** A page has up to 40,000 people; it is large if each has a kilobyte. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;
/** Names that Mixpanel pushes may have as many (read-push.ts). */
const MAX_NAME_LENGTH = 1_000;

/** PostgreSQL's integer takes no more. */
const MAX_COUNT = 2_147_483_647;

/** Mixpanel's are whole numbers. A text must fit into a column and into the name of a list: short, and without control characters. */
const cohortId = z.union([z.int(), z.bigint(), z.string().regex(/^\P{C}{1,100}$/u)]).transform(String);
const cohortRow = z.object({
  id: cohortId,
  name: z.string(),
  // Of use, and not worth failing for.
  description: z.string().nullish().catch(null),
  count: z.int().min(0).max(MAX_COUNT).nullish().catch(null),
  data_group_id: z.unknown().optional(),
});
const idOnly = z.object({ id: cohortId });

export function createMixpanelClient(connection: {
  baseUrl: string;
  projectId: string;
  /** Of a project with Data Views. */
  workspaceId?: string | undefined;
  username: string;
  secret: string;
  timeoutMs?: number;
}): MixpanelClient {
  const { baseUrl, projectId, workspaceId, username, secret, timeoutMs = TIMEOUT_MS } = connection;
  const project = new URLSearchParams({
    project_id: projectId,
    ...(workspaceId === undefined ? {} : { workspace_id: workspaceId }),
  });
  const headers = {
    authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  };

  async function post<T>(
    query: {
      path: string;
      form: Record<string, string>;
      page: number;
      maxBytes: number;
      signal: AbortSignal | undefined;
    },
    read: (body: Buffer) => T,
  ): Promise<T> {
    const { path, form, page, maxBytes, signal } = query;
    const response = await exchange({
      url: `${baseUrl}/api/query/${path}?${project}`,
      method: 'POST',
      headers,
      body: new URLSearchParams(form).toString(),
      timeoutMs,
      maxBytes,
      signal,
    }).catch((error) => {
      signal?.throwIfAborted();
      throw new MixpanelUnavailableError(`Mixpanel: ${failureText(error)}.`, { cause: error });
    });
    if (response.status !== 200) throw toError(response, path, page);
    try {
      return read(response.body);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new MixpanelUnavailableError('Mixpanel answered 200 with something that is not JSON.', {
        status: 200,
      });
    }
  }

  return {
    async listCohorts({ signal } = {}) {
      const answer = await post(
        { path: 'cohorts/list', form: {}, page: 0, maxBytes: MAX_COHORTS_BYTES, signal },
        parseAnswer,
      );
      if (!Array.isArray(answer)) {
        throw new MixpanelUnexpectedAnswerError(
          'Mixpanel answered something else than its documentation says: cohorts: the body is no array.',
        );
      }
      return readCohorts(answer);
    },
    async queryMembers({ cohortId, page, sessionId, signal }) {
      const form: Record<string, string> = {
        // In digits, as it came: a number might be rounded.
        filter_by_cohort: `{"id":${/^\d+$/.test(cohortId) ? cohortId : JSON.stringify(cohortId)}}`,
        include_all_users: 'true',
        output_properties: '["$email","$iterable_user_id"]',
        ...(page > 0 && sessionId !== undefined ? { session_id: sessionId, page: String(page) } : {}),
      };
      return await post({ path: 'engage', form, page, maxBytes: MAX_PAGE_BYTES, signal }, readPage);
    },
  };
}

function readCohorts(rows: unknown[]): CohortList {
  // By id, because nothing promises that none comes twice.
  const byId = new Map<string, MixpanelCohort>();
  const unreadableIds: string[] = [];
  let unreadable = 0;
  for (const row of rows) {
    const { data: cohort } = cohortRow.safeParse(row);
    if (cohort) byId.set(cohort.id, toCohort(cohort));
    else {
      unreadable++;
      const { data: known } = idOnly.safeParse(row);
      if (known) unreadableIds.push(known.id);
    }
  }
  return { cohorts: [...byId.values()], unreadableIds, unreadable };
}

function toCohort({
  id,
  name,
  description,
  count,
  data_group_id,
}: z.infer<typeof cohortRow>): MixpanelCohort {
  // PostgreSQL's text cannot hold NUL.
  const clean = (text: string) => text.replaceAll('\0', '\uFFFD');
  return {
    id,
    name: shorten(clean(name), MAX_NAME_LENGTH),
    description: shorten(clean(description ?? ''), MAX_DESCRIPTION_LENGTH),
    count: count ?? null,
    isGroup: data_group_id !== null && data_group_id !== undefined,
  };
}

function toError(response: PartnerResponse, path: string, page: number): MixpanelError {
  const { status } = response;
  const whole = decodeText(response.body);
  const said = readErrorText(whole);
  const words = quote(said);
  const text = `${cutWords(said)}\n${cutWords(whole)}`;
  const message = `Mixpanel answered ${status}${words === '' ? '' : ` (${words})`}.`;
  const options = { status };
  if (status === 401 || status === 403) return new MixpanelUnauthorizedError(message, options);
  if (status === 402) {
    return new MixpanelPlanError(
      `${message} Reading cohorts needs a paid plan with the Query API: see to it in Mixpanel's billing settings.`,
      options,
    );
  }
  if (status === 429) return toRefusal(message, text, response);
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
function toRefusal(message: string, text: string, { status, headers }: PartnerResponse): MixpanelError {
  const [, used, allowed] = /\b(\d+)\/(\d+) queries running in the last hour/.exec(text) ?? [];
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
