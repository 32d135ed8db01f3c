import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, GraphQLError } from 'graphql';
import { CloseCode, makeServer } from 'graphql-ws';
import type { Logger } from 'pino';
import { type RawData, WebSocketServer } from 'ws';
import type { Pushed } from '../sync/mailbox.ts';
import type { Admission } from './admission.ts';
import type { Authenticator } from './authenticator.ts';
import {
  ANSWER_PATIENCE_MS,
  MAX_BODY_BYTES,
  MAX_OPERATIONS_PER_SOCKET,
  MAX_RUNNING_PER_SOCKET,
  MAX_SUBSCRIPTION_BYTES,
  MAX_SUBSCRIPTIONS,
  MIN_COUNTED_BYTES,
} from './bounds.ts';
import { createExecutionSlots } from './execution-slots.ts';
import type { Answer, Call } from './executor.ts';
import type { Graphql } from './graphql.ts';
import { checkRequest } from './graphql-request.ts';
import { DocumentError } from './operations.ts';
import { presentError } from './present-error.ts';
import type { RateLimits } from './rate-limits.ts';
import { badRequest, overloaded, RefusalError, toGraphQLError, unauthenticated } from './refusal.ts';
import type { Sessions } from './sessions.ts';
import { Connection } from './websocket-connection.ts';
import { createPings } from './websocket-pings.ts';
import { forbiddenReason, tokenOf } from './websocket-token.ts';
import { AnswerWriter, TOO_MANY, untilRead } from './websocket-writer.ts';

const INIT_PATIENCE_MS = 10_000;
/** What a socket may leave unread while it goes on asking, by answers to its pings for example. */
const MAX_BACKLOG_BYTES = 1_000_000;

export interface Sockets {
  /** Takes over a connection that asks to become a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void;
  stop(): Promise<void>;
}

/** An operation as graphql-ws hands it to execute and subscribe. */
interface Subscribed {
  id: string;
  connection: Connection;
  call: Call;
  /** What was reserved for its message. */
  release: () => void;
}

/** graphql-transport-ws. A caller without a valid token is closed with 4403, one over a bound with 4429. */
export function createSockets(options: {
  graphql: Graphql;
  authenticator: Authenticator;
  admission: Admission;
  limits: RateLimits;
  sessions: Sessions;
  maxSocketsPerToken: number;
  logger: Logger;
}): Sockets {
  const { graphql, authenticator, limits, sessions, logger } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    WebSocket: Connection,
    maxPayload: MAX_BODY_BYTES,
    perMessageDeflate: false,
    handleProtocols: (protocols) => (protocols.has('graphql-transport-ws') ? 'graphql-transport-ws' : false),
  });
  const pings = createPings(sockets);
  let subscriptions = 0;

  const present = (error: unknown) => presentError(error, logger);

  async function connect(
    connection: Connection,
    params: Readonly<Record<string, unknown>> | undefined,
  ): Promise<void> {
    const { request, address } = connection;
    const given = tokenOf(params, request!);
    connection.request = undefined;
    try {
      const { viewer, expiresAt } = await authenticator.authenticate(given.authorization, address);
      // Gone meanwhile: nobody would take it out of the count.
      if (connection.readyState !== connection.OPEN) return;
      if (sessions.countSockets(viewer.tokenId) >= options.maxSocketsPerToken) {
        return connection.close(TOO_MANY, 'Too many sockets of this token are open.');
      }
      connection.viewer = viewer;
      sessions.add(connection, expiresAt);
    } catch (error) {
      if (!(error instanceof RefusalError)) {
        // Thrown, it would be printed by graphql-ws. Nothing reaches a socket that is closing.
        return connection.close(CloseCode.InternalServerError, presentError(error, logger).message);
      }
      if (error.status === 401) connection.close(CloseCode.Forbidden, forbiddenReason(given));
      else connection.close(TOO_MANY, error.message.slice(0, 120));
    }
  }

  async function prepare(connection: Connection, payload: unknown): Promise<Call> {
    const viewer = connection.viewer!;
    await limits.countToken(viewer.tokenId);
    const { operation, variables } = await graphql.prepare(checkRequest(payload), viewer);
    if (operation.kind === 'mutation') await limits.countMutation(viewer.tokenId);
    return { viewer, operation, variables };
  }

  /** Before the first wait: the message is the one that has just come. */
  function holdMessage({ tokenId, messageBytes }: Connection): () => void {
    if (messageBytes <= MIN_COUNTED_BYTES) return doNothing;
    return options.admission.reserveBytes(tokenId, messageBytes);
  }

  /** A few at a time; the answer holds its place until the caller has read most of it. */
  async function run(connection: Connection, call: Call): Promise<Answer> {
    connection.left ??= new AbortController();
    // Nobody would abort it any more.
    if (connection.readyState !== connection.OPEN) connection.left.abort(gone());
    const { signal } = connection.left;
    connection.slots ??= createExecutionSlots({
      maxCost: MAX_RUNNING_PER_SOCKET,
      maxCostPerKey: MAX_RUNNING_PER_SOCKET,
      maxWaitingPerKey: MAX_OPERATIONS_PER_SOCKET,
      maxWaiting: MAX_OPERATIONS_PER_SOCKET,
    });
    const free = await connection.slots.acquire({ key: '', cost: 1, signal });
    try {
      const answer = await graphql.run(call, {
        onLeft(leave) {
          signal.addEventListener('abort', leave, { once: true });
          return () => signal.removeEventListener('abort', leave);
        },
      });
      await untilRead(connection, ANSWER_PATIENCE_MS);
      if (answer.text.length > MIN_COUNTED_BYTES) holdPlace(connection, answer.text.length);
      return answer;
    } finally {
      free();
    }
  }

  /** Until the answer that is written next has been read. */
  function holdPlace(connection: Connection, bytes: number) {
    const release = options.admission.reserveBytes(connection.tokenId, bytes);
    setImmediate(() => void untilRead(connection, ANSWER_PATIENCE_MS).then(release));
  }

  async function subscribe(_connection: Connection, call: Call): Promise<Pushed<Answer> | Answer> {
    if (subscriptions >= MAX_SUBSCRIPTIONS) throw overloaded('Too many subscriptions are open.');
    // Before the first wait, so that those who come at once are counted too.
    subscriptions++;
    const answers = await graphql.subscribe(call).catch((error) => {
      subscriptions--;
      throw error;
    });
    if ('text' in answers) subscriptions--;
    return answers;
  }

  const protocol = makeServer<Record<string, unknown>, Connection>({
    // It would keep its timer for as long as the socket is open.
    connectionInitWaitTimeout: 0,
    async onConnect(ctx) {
      const { extra: connection, connectionParams } = ctx;
      clearTimeout(connection.initTimer);
      connection.initTimer = undefined;
      // A secret; nobody asks for it again.
      Object.assign(ctx, { connectionParams: undefined });
      await connect(connection, connectionParams);
      return true;
    },
    async onSubscribe(ctx, id, payload) {
      const connection = ctx.extra;
      // Refused, and on its way out.
      if (!connection.viewer) return [toGraphQLError(unauthenticated())];
      if (Object.keys(ctx.subscriptions).length > MAX_OPERATIONS_PER_SOCKET) {
        connection.close(
          TOO_MANY,
          `More than ${MAX_OPERATIONS_PER_SOCKET} operations are open on this socket.`,
        );
        return [new GraphQLError('Too many operations.')];
      }
      let release: () => void = doNothing;
      try {
        release = holdMessage(connection);
        const { messageBytes } = connection;
        const call = await prepare(connection, payload);
        if (call.operation.kind === 'subscription' && messageBytes > MAX_SUBSCRIPTION_BYTES)
          throw badRequest(
            'payload',
            `must have at most ${MAX_SUBSCRIPTION_BYTES} bytes for a subscription.`,
          );
        // It has been read; graphql-ws keeps what it took as long as the operation goes on.
        Object.assign(payload, { query: '' });
        return {
          document: call.operation.document,
          rootValue: { id, connection, call, release } satisfies Subscribed,
          contextValue: undefined,
        } as unknown as ExecutionArgs;
      } catch (error) {
        release();
        if (error instanceof DocumentError) return error.errors.map(present);
        return [present(error)];
      }
    },
    execute: (args) => answer(args, run) as never,
    subscribe: (args) => answer(args, subscribe) as never,
  });

  async function answer(
    args: ExecutionArgs,
    act: (connection: Connection, call: Call) => Promise<Pushed<Answer> | Answer>,
  ): Promise<AnswerWriter> {
    const { id, connection, call, release } = args.rootValue as Subscribed;
    const answers = await act(connection, call)
      .catch((error): Answer => {
        const result = { errors: [present(error)] };
        return { result, text: JSON.stringify(result) };
      })
      .finally(release);
    return new AnswerWriter(connection, id, answers, 'text' in answers ? doNothing : endSubscription);
  }

  const endSubscription = () => void subscriptions--;

  const noteBreak = (error: Error) => logger.debug({ err: error }, 'a WebSocket was broken off');

  // These are the same functions for all sockets, each of which is their `this`.

  function take(this: object, data: RawData) {
    const connection = this as Connection;
    if (connection.bufferedAmount > MAX_BACKLOG_BYTES) return connection.terminate();
    const text = String(data);
    connection.messageBytes = text.length;
    connection.receive?.(text).catch((error) => {
      if (connection.readyState !== connection.OPEN) return;
      connection.close(CloseCode.InternalServerError, presentError(error, logger).message);
    });
  }

  function forget(this: object, code: number, reason: Buffer) {
    const connection = this as Connection;
    clearTimeout(connection.initTimer);
    connection.left?.abort(gone());
    if (connection.viewer) sessions.delete(connection);
    connection
      .closed(code, String(reason))
      .catch((error) => logger.warn({ err: error }, 'a socket was not closed cleanly'));
  }

  function open(connection: Connection, stream: Duplex, request: IncomingMessage, address: string) {
    Object.assign(connection, { request, stream, address });
    pings.add(connection);
    connection.initTimer = setTimeout(closeUninitialised, INIT_PATIENCE_MS, connection);
    connection.closed = protocol.opened(connection, connection);
    // A message that is too large or broken, or a connection that is: ws has closed the socket with the code for it by then.
    connection.on('error', noteBreak).on('message', take).on('close', forget);
  }

  return {
    upgrade(request, socket, head, address) {
      sockets.handleUpgrade(request, socket, head, (opened) => open(opened, socket, request, address));
    },
    async stop() {
      pings.stop();
      for (const socket of sockets.clients) socket.close(1001, 'Going away');
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
    },
  };
}

function closeUninitialised(connection: Connection): void {
  connection.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout');
}

const doNothing = () => undefined;

const gone = () => new Error('The caller has gone.');
