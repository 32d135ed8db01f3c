import type { z } from 'zod';
import type { Subscriber } from '../identity.ts';
import {
  decodeText,
  exchange,
  failureText,
  isSuccess,
  openExchange,
  type PartnerResponse,
  parseAnswer,
  quote,
  readErrorBody,
  retryAfterMs,
} from '../partner-http.ts';
import {
  createListAnswer,
  errorAnswer,
  type FailureBucket,
  type ListUpdateResult,
  listRow,
  listsAnswer,
  listUpdateAnswer,
  toListUpdateResult,
} from './answers.ts';
import {
  BatchTooLargeError,
  ConflictError,
  InvalidListError,
  IterableError,
  PersonRefusedError,
  RateLimitedError,
  UnauthorizedError,
  UnavailableError,
  UnexpectedAnswerError,
} from './errors.ts';
import { readListLines } from './list-lines.ts';

export interface IterableList {
  /** Iterable's int64 as a decimal string. */
  id: string;
  /** Null for what cannot be read. */
  name: string | null;
  listType: string | null;
  /** By Iterable's clock. */
  createdAt: Date | null;
}

export interface RequestOptions {
  signal?: AbortSignal | undefined;
}

/**
 * The list calls of one Iterable project. Each method makes one request and never repeats it. Throws IterableError of
 * the kind that tells what to do; an abort throws the signal's reason.
 */
export interface IterableClient {
  /** Without those that have no id. */
  listLists(options?: RequestOptions): Promise<IterableList[]>;
  createList(name: string, options?: RequestOptions): Promise<string>;
  deleteList(listId: string, options?: RequestOptions): Promise<void>;
  /** At most 1,000 people. Resolves also when some or all of them were refused. */
  subscribe(listId: string, subscribers: Subscriber[], options?: RequestOptions): Promise<ListUpdateResult>;
  unsubscribe(listId: string, subscribers: Subscriber[], options?: RequestOptions): Promise<ListUpdateResult>;
  /** Everybody on the list, some at a time; a read that breaks off throws. */
  getUsers(listId: string, options: RequestOptions & { preferUserId: boolean }): AsyncIterable<string[]>;
}

/** Iterable's own client waits as long (30 s); a list of millions takes longer to read. */
const TIMEOUT_MS = 30_000;
const LIST_READ_TIMEOUT_MS = 300_000;

/** A hundred thousand lists, which is far beyond what Iterable's own pages can show. */
const MAX_LISTS_BYTES = 16 * 1024 * 1024;
/** An update names each of its 1,000 people a few times, if it has something against all of them. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
export function createIterableClient(connection: {
  baseUrl: string;
  apiKey: string;
  timeoutMs?: number;
}): IterableClient {
  const { baseUrl, apiKey, timeoutMs = TIMEOUT_MS } = connection;
  const headers = { 'api-key': apiKey, 'content-type': 'application/json' };

  async function request(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    { signal }: RequestOptions,
    { body, maxBytes = MAX_ANSWER_BYTES }: { body?: string; maxBytes?: number } = {},
  ): Promise<PartnerResponse> {
    const response = await exchange({
      url: baseUrl + path,
      method,
      headers,
      timeoutMs,
      maxBytes,
      signal,
      ...(body === undefined ? {} : { body }),
    }).catch((error) => {
      signal?.throwIfAborted();
      throw new UnavailableError(`Iterable: ${failureText(error)}.`, { cause: error });
    });
    if (!isSuccess(response.status)) throw toError(response);
    return response;
  }

  async function update(path: string, body: string, options: RequestOptions): Promise<ListUpdateResult> {
    return toListUpdateResult(parse(listUpdateAnswer, await request('POST', path, options, { body })));
  }

  return {
    async listLists(options = {}) {
      const { lists } = parse(
        listsAnswer,
        await request('GET', '/api/lists', options, { maxBytes: MAX_LISTS_BYTES }),
      );
      return lists.flatMap((row) => {
        const { data: list } = listRow.safeParse(row);
        if (!list) return [];
        const { id, name = null, listType = null, createdAt } = list;
        return { id: String(id), name, listType, createdAt: createdAt === null ? null : new Date(createdAt) };
      });
    },
    async createList(name, options = {}) {
      const answer = await request('POST', '/api/lists', options, { body: JSON.stringify({ name }) });
      return String(parse(createListAnswer, answer).listId);
    },
    async deleteList(listId, options = {}) {
      await request('DELETE', `/api/lists/${listId}`, options);
    },
    subscribe(listId, subscribers, options = {}) {
      return update(
        '/api/lists/subscribe',
        `{"listId":${listId},"subscribers":${JSON.stringify(subscribers)}}`,
        options,
      );
    },
    unsubscribe(listId, subscribers, options = {}) {
      // channelUnsubscribe true would opt people out of everything; its default is disputed.
      return update(
        '/api/lists/unsubscribe',
        `{"listId":${listId},"subscribers":${JSON.stringify(subscribers)},"channelUnsubscribe":false}`,
        options,
      );
    },
    async *getUsers(listId, { preferUserId, signal }) {
      const query = new URLSearchParams({ listId, preferUserId: String(preferUserId) });
      try {
        const response = await openExchange({
          url: `${baseUrl}/api/lists/getUsers?${query}`,
          method: 'GET',
          headers,
          timeoutMs: LIST_READ_TIMEOUT_MS,
          signal,
        });
        const { statusCode: status, headers: answered, body } = response;
        if (!isSuccess(status)) throw toError({ status, headers: answered, body: await readErrorBody(body) });
        yield* readListLines(body);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof IterableError) throw error;
        throw new UnavailableError(`Iterable: ${failureText(error)} while a list was read.`, {
          cause: error,
        });
      }
    },
  };
}

function parse<T extends z.ZodType>(schema: T, response: PartnerResponse): z.infer<T> {
  const body = parseJson(response.body);
  // A page of some proxy, or half an answer. All calls may be repeated, so it is asked again.
  if (body === undefined) {
    throw new UnavailableError(`Iterable answered ${response.status} with something that is not JSON.`, {
      status: response.status,
    });
  }
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new UnexpectedAnswerError(
    `Iterable answered something else than its documentation says: ${issue?.path.join('.') || 'the body'}: ${issue?.message}.`,
    { status: response.status },
  );
}

function parseJson(body: Buffer): unknown {
  try {
    return parseAnswer(body);
  } catch {
    return undefined;
  }
}

/** Codes by which Iterable refuses a request for one person's sake (API response codes). */
const PERSON_CODES: Record<string, FailureBucket> = {
  InvalidEmailAddressError: 'invalid',
  InvalidUserIdError: 'invalid',
  UnknownEmailError: 'notFound',
  UnknownUserIdError: 'notFound',
  EmailAlreadyExists: 'conflict',
  UserIdAlreadyExists: 'conflict',
  ExternalKeyConflict: 'conflict',
  ForgottenUserError: 'forgotten',
  RequestFieldsTypesMismatched: 'invalidData',
};

/** By HTTP status first: Iterable writes code "Success" on some refusals. */
function toError(response: PartnerResponse): IterableError {
  const { status } = response;
  const text = decodeText(response.body);
  const parsed = errorAnswer.safeParse(parseJson(response.body));
  const answer = parsed.success ? parsed.data : {};
  const words = quote(answer.msg ?? text);
  const message = `Iterable answered ${status}${words === '' ? '' : ` (${words})`}.`;
  const options = { status };
  if (status === 401 || status === 403) return new UnauthorizedError(message, options);
  if (status === 429) {
    const resetSeconds = Number(answer.params?.rateLimitReset);
    const wait = resetSeconds > 0 ? resetSeconds * 1000 : retryAfterMs(response.headers);
    return new RateLimitedError(message, {
      ...options,
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    });
  }
  if (status === 408 || status >= 500) {
    const wait = retryAfterMs(response.headers);
    return new UnavailableError(message, {
      ...options,
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    });
  }
  if (status === 413 || answer.code === 'BatchTooLarge') return new BatchTooLargeError(message, options);
  if (status === 400 && answer.msg?.includes('invalidListId')) {
    const projectId = answer.params?.projectId;
    return new InvalidListError(message, {
      ...options,
      ...(['number', 'bigint', 'string'].includes(typeof projectId) ? { projectId: String(projectId) } : {}),
    });
  }
  const bucket = PERSON_CODES[answer.code ?? ''];
  if (status === 409) return new ConflictError(message, { ...options, bucket: bucket ?? 'conflict' });
  if (status === 400 && bucket) return new PersonRefusedError(message, { ...options, bucket });
  return new UnexpectedAnswerError(message, options);
}
