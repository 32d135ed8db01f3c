import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecutionArgs, GraphQLError, getOperationAST } from 'graphql';
import { CloseCode } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Viewer } from '../context.ts';
import { BadUserInputError } from '../errors.ts';
import type { RequestContext, Yoga } from './graphql.ts';
import { presentError } from './present-error.ts';
import type { Sessions } from './sessions.ts';

const MAX_MESSAGE_BYTES = 1_000_000;
/** A watcher that has this much unread is not written to until it has read. */
const MAX_UNREAD_BYTES = 64 * 1024;
const DRAIN_POLL_MS = 50;

export interface Sockets {
  stop(): Promise<void>;
}

/** graphql-transport-ws on /graphql of the server. Who sends no valid token in connectionParams is closed with 4403. */
export function serveWebSocket(options: {
  server: Server;
  yoga: Yoga;
  sessions: Sessions;
  logger: Logger;
  findViewer: (
    authorization: string | undefined,
  ) => Promise<{ viewer: Viewer; expiresAt: Date | null } | undefined>;
}): Sockets {
  const { server, yoga, logger } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  type Connected = Record<PropertyKey, unknown> & { viewer?: Viewer; forget?: () => void };

  /** Without what only HTTP needs to know. */
  function present(error: unknown): GraphQLError {
    const { message, nodes, path, extensions } = presentError(error, logger);
    const { http: _, ...told } = extensions;
    return new GraphQLError(message, { nodes: nodes ?? null, path: path ?? null, extensions: told });
  }

  const service = useServer<Record<string, unknown>, Connected>(
    {
      connectionInitWaitTimeout: 10_000,
      async onConnect(ctx) {
        const given = ctx.connectionParams?.authorization;
        const { socket } = ctx.extra;
        let found: Awaited<ReturnType<typeof options.findViewer>>;
        try {
          found = await options.findViewer(typeof given === 'string' ? given : undefined);
        } catch (error) {
          // Thrown, it would be printed by graphql-ws. Nothing reaches a socket that is closing.
          socket.close(CloseCode.InternalServerError, presentError(error, logger).message);
          return true;
        }
        if (!found) return false;
        ctx.extra.viewer = found.viewer;
        ctx.extra.forget = options.sessions.open(found.viewer, found.expiresAt, () =>
          socket.close(CloseCode.Forbidden, 'Forbidden'),
        );
        return true;
      },
      onDisconnect: (ctx) => ctx.extra.forget?.(),
      onClose: (ctx) => ctx.extra.forget?.(),
      async onSubscribe(ctx, _id, payload) {
        const request: RequestContext = {
          req: ctx.extra.request as IncomingMessage,
          viewer: ctx.extra.viewer!,
        };
        const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
          ...request,
          params: payload,
        });
        try {
          const document = parse(payload.query);
          const errors = validate(schema, document);
          if (errors.length > 0) return errors.map((error: unknown) => present(error));
          if (!getOperationAST(document, payload.operationName)) {
            const message =
              'must name an operation of the document, and may be left out when it has one only.';
            return [present(new BadUserInputError([{ path: ['operationName'], message }]))];
          }
          return {
            schema,
            document,
            operationName: payload.operationName ?? undefined,
            variableValues: payload.variables ?? undefined,
            contextValue: await contextFactory(),
            rootValue: { execute, subscribe },
          } as ExecutionArgs;
        } catch (error) {
          return [present(error)];
        }
      },
      execute: (args) => (args.rootValue as { execute: (args: unknown) => never }).execute(args),
      subscribe: (args) => (args.rootValue as { subscribe: (args: unknown) => never }).subscribe(args),
      onNext: async (ctx, _id, _payload, _args, result) => {
        await untilRead(ctx.extra.socket);
        return result.errors ? { ...result, errors: result.errors.map((error) => present(error)) } : result;
      },
    },
    sockets,
  );

  sockets.on('connection', (socket) => logBreaks(socket, logger));

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.url?.split('?')[0] !== '/graphql') {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened, request));
  };
  server.on('upgrade', onUpgrade);

  return {
    async stop() {
      server.off('upgrade', onUpgrade);
      for (const socket of sockets.clients) socket.close(1001, 'Going away');
      await service.dispose();
    },
  };
}

/**
 * A message that is too large or broken, or a connection that is: ws has closed the socket with the code for it by then.
 * graphql-ws would write that to standard error with all that belongs to it, and close once more.
 */
function logBreaks(socket: WebSocket, logger: Logger): void {
  socket.removeAllListeners('error');
  socket.on('error', (error) => logger.debug({ err: error }, 'a WebSocket was broken off'));
}

/** The watcher's snapshots wait in its mailbox, where newer ones replace older ones, instead of in the socket. */
async function untilRead(socket: WebSocket): Promise<void> {
  while (socket.bufferedAmount > MAX_UNREAD_BYTES && socket.readyState === socket.OPEN) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  }
}
