import {
  createSourceEventStream,
  type ExecutionResult,
  type GraphQLSchema,
  validateSubscriptionArgs,
} from 'graphql';
import type { Logger } from 'pino';
import { type Caller, createSharedRounds } from '../../db/shared-rounds.ts';
import type { Context, Viewer } from '../context.ts';
import { CohortSyncError } from '../errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { Listener, Pushed } from '../sync/mailbox.ts';
import {
  MAX_ANSWER_BYTES,
  MAX_COST_AT_ONCE,
  MAX_COST_AT_ONCE_PER_TOKEN,
  MAX_REQUESTS,
  MAX_REQUESTS_PER_TOKEN,
  MUTATION_DEADLINE_MS,
  QUERY_DEADLINE_MS,
} from './bounds.ts';
import { createExecutionSlots } from './execution-slots.ts';
import type { Operation, Variables } from './operations.ts';
import { presentError } from './present-error.ts';
import { overloaded } from './refusal.ts';

/** What an operation or an event is answered with. */
export interface Answer {
  result: ExecutionResult;
  /** The result as JSON. */
  text: string;
}

export interface Call {
  viewer: Viewer;
  operation: Operation;
  variables: Variables;
}

export interface Executor {
  /** Executes a query or a mutation. Throws CohortSyncError when it is refused or takes too long. */
  run(call: Call, caller: Caller): Promise<Answer>;
  /** The answers to the events of a subscription, or its errors. The iteration ends when it is returned. */
  subscribe(call: Call): Promise<Pushed<Answer> | Answer>;
}

/**
 * Executes operations within their bounds. Equal queries of a token share an execution, and so do equal subscriptions of a
 * project and role for each event.
 */
export function createExecutor(options: {
  schema: GraphQLSchema;
  allowIntrospection: boolean;
  logger: Logger;
  createContext: (viewer: Viewer, signal: AbortSignal) => Context;
  deadlines?: { queryMs: number; mutationMs: number };
}): Executor {
  const { schema, allowIntrospection, logger, createContext } = options;
  const { queryMs, mutationMs } = options.deadlines ?? {
    queryMs: QUERY_DEADLINE_MS,
    mutationMs: MUTATION_DEADLINE_MS,
  };
  const slots = createExecutionSlots({
    maxCost: MAX_COST_AT_ONCE,
    maxCostPerKey: MAX_COST_AT_ONCE_PER_TOKEN,
    maxWaitingPerKey: MAX_REQUESTS_PER_TOKEN,
    maxWaiting: MAX_REQUESTS,
  });
  const queries = createSharedRounds<Answer>(
    () => new CohortSyncError('RATE_LIMITED', 'The caller has gone.'),
  );
  /** By the event; its watchers get the very same object. */
  const eventAnswers = new WeakMap<object, Map<string, MaybePromise<Answer>>>();

  function answerOf(result: ExecutionResult): Answer {
    const shown = result.errors
      ? { ...result, errors: result.errors.map((error) => presentError(error, logger)) }
      : result;
    const text = JSON.stringify(shown);
    if (text.length > MAX_ANSWER_BYTES) {
      throw new CohortSyncError(
        'QUERY_TOO_COMPLEX',
        `The answer is larger than ${MAX_ANSWER_BYTES} bytes. Ask for fewer rows or fields.`,
      );
    }
    return { result: shown, text };
  }

  async function execute(
    { viewer, operation, variables }: Call,
    controller: AbortController,
    deadlineMs: number,
  ): Promise<Answer> {
    const cost = operation.costOf(variables);
    const timer = setTimeout(() => controller.abort(tookTooLong(deadlineMs)), deadlineMs);
    try {
      const { signal } = controller;
      const free = await slots.acquire({ key: viewer.tokenId, cost, signal });
      const executing = Promise.resolve()
        .then(() => operation.execute(createContext(viewer, signal), variables, { signal }))
        .finally(free);
      // What the fields of a mutation did is told even when it took too long; their statements end with the signal.
      const result = operation.kind === 'mutation' ? await executing : await orAborted(executing, signal);
      return answerOf(result);
    } finally {
      clearTimeout(timer);
    }
  }

  async function executeEvent(call: Call, event: unknown): Promise<Answer> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(tookTooLong(queryMs)), queryMs);
    try {
      // For every token of the project with this role, so it must not see whose it is.
      const viewer = { ...call.viewer, tokenId: `project-${call.viewer.project.id}`, tokenName: '' };
      const { signal } = controller;
      const executing = call.operation.execute(createContext(viewer, signal), call.variables, {
        rootValue: event,
        signal,
      });
      return answerOf(await orAborted(Promise.resolve(executing), signal));
    } catch (error) {
      return answerFailure(error);
    } finally {
      clearTimeout(timer);
    }
  }

  const answerFailure = (error: unknown) => answerOf({ errors: [presentError(error, logger)] });

  function answerEvent(call: Call, key: string, event: object): MaybePromise<Answer> {
    const answers = eventAnswers.get(event) ?? new Map<string, MaybePromise<Answer>>();
    const known = answers.get(key);
    if (known) return known;
    const answer = executeEvent(call, event);
    eventAnswers.set(event, answers.set(key, answer));
    // Whoever comes later is told at once.
    void answer.then((ready) => answers.set(key, ready));
    return answer;
  }

  const answering: Answering = { answerEvent, answerFailure };

  return {
    async run(call, caller) {
      const { viewer, operation, variables } = call;
      if (operation.kind === 'mutation') {
        return await execute(call, new AbortController(), mutationMs);
      }
      const key = `${viewer.tokenId} ${operation.id} ${JSON.stringify(variables)}`;
      return await queries.join(key, caller, (controller) => execute(call, controller, queryMs));
    },
    async subscribe(call) {
      const { viewer, operation, variables } = call;
      operation.costOf(variables);
      const args = validateSubscriptionArgs({
        schema,
        document: operation.document,
        contextValue: createContext(viewer, new AbortController().signal),
        variableValues: variables,
        hideSuggestions: !allowIntrospection,
      });
      if (!('operation' in args)) return answerOf({ errors: args });
      const source = await createSourceEventStream(args);
      if (!(Symbol.asyncIterator in source)) return answerOf(source);
      const key = `${viewer.project.id} ${viewer.role} ${operation.id} ${JSON.stringify(variables)}`;
      return new EventAnswers(answering, source as Pushed<object>, call, key);
    },
  };
}

/** How events are answered; one for all subscriptions. */
interface Answering {
  answerEvent(call: Call, key: string, event: object): MaybePromise<Answer>;
  answerFailure(error: unknown): Answer;
}

/** The answers to events, the last of which may be a failure. A class, because there are ten thousand of them. */
class EventAnswers implements Pushed<Answer>, Listener<object> {
  readonly #answering: Answering;
  readonly #events: Pushed<object>;
  readonly #call: Call;
  readonly #key: string;
  #listener: Listener<Answer> | undefined;

  constructor(answering: Answering, events: Pushed<object>, call: Call, key: string) {
    this.#answering = answering;
    this.#events = events;
    this.#call = call;
    this.#key = key;
  }

  async next(): Promise<IteratorResult<Answer>> {
    try {
      const { done, value } = await this.#events.next();
      return done ? { done, value: undefined } : { done: false, value: await this.#answer(value) };
    } catch (error) {
      return { done: false, value: this.#answering.answerFailure(error) };
    }
  }

  tellEach(listener: Listener<Answer>): void {
    this.#listener = listener;
    this.#events.tellEach(this);
  }

  tell(event: object): void | Promise<void> {
    const listener = this.#listener!;
    const answer = this.#answer(event);
    return answer instanceof Promise ? answer.then((ready) => listener.tell(ready)) : listener.tell(answer);
  }

  end(error?: unknown): void {
    if (error !== undefined) this.#listener!.tell(this.#answering.answerFailure(error));
    this.#listener!.end();
  }

  async return(): Promise<IteratorResult<Answer>> {
    await this.#events.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #answer(event: object): MaybePromise<Answer> {
    return this.#answering.answerEvent(this.#call, this.#key, event);
  }
}

function tookTooLong(deadlineMs: number): Error {
  return overloaded(
    `The operation took longer than ${deadlineMs / 1000} seconds and was ended. Ask for less, or try again later.`,
    5,
  );
}

/** The result, or the reason of the signal as soon as it aborts. */
function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    result.catch(() => undefined);
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
