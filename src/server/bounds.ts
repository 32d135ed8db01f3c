import { COST_LIMITS } from '../schema/costs.ts';

/** What a caller can make large, and how large it may become. Each number has its reason beside it. */

const MEGABYTE = 1_000_000;

/** A JSON body. Documents of people have a few kilobytes, variables with a list of ids some hundred. */
export const MAX_BODY_BYTES = MEGABYTE;
/** A document. Validation compares fields with each other; at this size the worst takes some 70 ms, at 10,000 tokens 450. */
export const MAX_TOKENS = 4_000;
/** Time that one token may make us spend on documents we have not seen before: half of what the process has. */
export const PREPARATION_BUDGET = { ms: 5_000, perSeconds: 10 };
/** Parsed documents: a parsed one takes some thirty times the bytes of its text, so 64 MB for all of them. */
export const MAX_CACHED_DOCUMENT_BYTES = 2 * MEGABYTE;
/** A longer document is not kept: twenty of them would push everybody else's out. */
export const MAX_KEPT_DOCUMENT_BYTES = 100_000;
/** Compiling costs some 5 ms, running by the interpreter ten times as much as running compiled: so it pays soon. */
export const COMPILE_AT_USE = 3;

/** Requests of one socket that are under way. Browsers send one at a time, pipelining clients some ten. */
export const MAX_REQUESTS_PER_SOCKET = 32;
/** Requests of one token, and of everybody, that are under way: each holds its body and a place in a queue, some 20 kB. */
export const MAX_REQUESTS_PER_TOKEN = 1_000;
export const MAX_REQUESTS = 4_000;

/** Operations whose costs add up to this run at once: two of the most expensive, or some fifty dashboards. */
export const MAX_COST_AT_ONCE = 2 * COST_LIMITS.complexity;
/** One token has at most half of it, so that others always find room. */
export const MAX_COST_AT_ONCE_PER_TOKEN = COST_LIMITS.complexity;

/** From the arrival of an operation to its answer, with what it waits. A mutation may call a partner for 10 s. */
export const QUERY_DEADLINE_MS = 15_000;
export const MUTATION_DEADLINE_MS = 60_000;

/** Bodies under way and answers that callers have not read yet, of one token and of everybody. */
export const MAX_HELD_BYTES_PER_TOKEN = 12 * MEGABYTE;
export const MAX_HELD_BYTES = 32 * MEGABYTE;
/** A single answer. */
export const MAX_ANSWER_BYTES = 8 * MEGABYTE;
/** A smaller body is no matter, a smaller answer fits into the buffers of the system: they are not counted. */
export const MIN_COUNTED_BYTES = 16_000;
/** A caller who does not read an answer for this long is cut off. */
export const ANSWER_PATIENCE_MS = 30_000;

/** A socket: a console subscribes to a handful of things. */
export const MAX_OPERATIONS_PER_SOCKET = 100;
/** Queries and mutations of one socket that run at once; others wait. */
export const MAX_RUNNING_PER_SOCKET = 4;
/** The message of a subscription, which is kept as long as that goes on. */
export const MAX_SUBSCRIPTION_BYTES = 64_000;
/** Subscriptions in all, some 4 kB each. */
export const MAX_SUBSCRIPTIONS = 40_000;
/** Connections in all. An idle one takes some 10 kB. */
export const MAX_CONNECTIONS = 20_000;

/** Tokens that were found, and strings that are none, which we remember: a caller can make up any number. */
export const MAX_REMEMBERED_TOKENS = 10_000;
/** How long a token that was found is not looked up again. Revocation is heard of at once; this is for what is not heard. */
export const TOKEN_MEMORY_MS = 5_000;
/** Look-ups of unknown tokens that are under way; others wait their turn, or are told to come again. */
export const MAX_TOKEN_LOOKUPS = 4;
export const MAX_WAITING_TOKEN_LOOKUPS = 1_000;
