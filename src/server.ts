import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import type { GatewayDeps } from './context.ts';
import type { Env } from './env.ts';
import { StartError } from './errors.ts';
import { closeRevoked, findViewer } from './resolvers/api-token.ts';
import { discardBody, readBody } from './server/body.ts';
import { createGraphql } from './server/graphql.ts';
import { createEventReceiver, handleIterableWebhook } from './server/iterable-webhook.ts';
import { handleMixpanelWebhook } from './server/mixpanel-webhook.ts';
import { presentError } from './server/present-error.ts';
import { createSessions } from './server/sessions.ts';
import { serveWebSocket } from './server/websocket.ts';
import { welcomePage } from './server/welcome-page.ts';
import type { SyncDeps } from './sync/deps.ts';
import type { Live } from './sync/live.ts';

/** Multipart bodies have limits of their own. */
const MAX_BODY_BYTES = 1_000_000;
/** Longer than load balancers and partners keep a connection that is idle: else a call may meet its end. */
const KEEP_ALIVE_MS = 65_000;
const CLOSE_PATIENCE_MS = 3_000;
const UPLOAD_PATIENCE_MS = 3_600_000;

export interface Server {
  /** Where it listens: http://host:port. */
  listen(): Promise<string>;
  /** /ready says no from now on. */
  drain(): void;
  /** Ends streams and sockets, and answers what is under way. Bounded in time. */
  stop(): Promise<void>;
}

/** The HTTP surface of the service. */
export function createServer(options: {
  env: Pick<Env, 'host' | 'port'>;
  schema: GraphQLSchema;
  sync: GatewayDeps;
  webhookSync: SyncDeps;
  live: Live;
  isReady: () => Promise<boolean>;
}): Server {
  const { env, sync, webhookSync, live } = options;
  const yoga = createGraphql(options);
  const receiver = createEventReceiver(webhookSync);
  const sessions = createSessions(() => sync.clock.now());
  live.onTokenRevoked((tokenId) => sessions.closeToken(tokenId));
  live.onGap(() => {
    closeRevoked(sync, sessions).catch((error) =>
      sync.logger.warn({ err: error }, 'could not look for tokens that were revoked'),
    );
  });
  const eventStreams = new Set<ServerResponse>();
  let isDraining = false;

  const server = createHttpServer((request, response) => {
    // A connection that is kept for a next request would hold up the end of the service.
    response.once('close', () => {
      if (isDraining) server.closeIdleConnections();
    });
    handle(request, response).catch((error) => {
      // A caller who breaks off in the middle of a body is told nothing.
      if (request.errored === error) return void response.destroy();
      const shown = presentError(error, sync.logger);
      if (!response.headersSent) sendJson(response, 500, { errors: [shown] });
      else response.destroy();
    });
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  // An upload of gigabytes may take its time.
  server.requestTimeout = UPLOAD_PATIENCE_MS;
  const sockets = serveWebSocket({
    server,
    yoga,
    sessions,
    logger: sync.logger,
    findViewer: (authorization) => findViewer(sync, authorization),
  });

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const path = (request.url ?? '/').split('?')[0];
    if (path === '/graphql') return await handleGraphql(request, response);
    const [, partner, key] = /^\/webhooks\/(mixpanel|iterable)\/([\w-]+)$/.exec(path ?? '') ?? [];
    if (key !== undefined) {
      return partner === 'mixpanel'
        ? await handleMixpanelWebhook(webhookSync, key, request, response)
        : await handleIterableWebhook(receiver, key, request, response);
    }
    if (path === '/health') return sendJson(response, 200, { status: 'ok' });
    if (path === '/ready') {
      const ready = !isDraining && (await options.isReady().catch(() => false));
      return sendJson(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready' });
    }
    if (path === '/') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      return void response.end(welcomePage);
    }
    sendJson(response, 404, { error: 'There is nothing here. See / for what is.' });
  }

  async function handleGraphql(request: IncomingMessage, response: ServerResponse) {
    if (isPageRequest(request)) return void (await yoga.handle(request, response, { req: request } as never));
    const found = await findViewer(sync, request.headers.authorization);
    if (!found) {
      discardBody(request);
      return sendJson(response, 401, {
        errors: [
          {
            message: 'Send a valid token: Authorization: Bearer <token>.',
            extensions: { code: 'UNAUTHENTICATED' },
          },
        ],
      });
    }
    const isMultipart = request.headers['content-type']?.startsWith('multipart/form-data') === true;
    const chunks = isMultipart ? [] : await readBody(request, MAX_BODY_BYTES);
    if (!chunks) {
      discardBody(request);
      return sendJson(response, 413, {
        errors: [
          {
            message: `The body is larger than ${MAX_BODY_BYTES} bytes.`,
            extensions: {
              code: 'BAD_USER_INPUT',
              issues: [{ path: ['body'], message: `must have at most ${MAX_BODY_BYTES} bytes.` }],
            },
          },
        ],
      });
    }
    // Yoga takes what has been read from here.
    if (!isMultipart) Object.assign(request, { body: Readable.from(chunks) });
    // Only what lasts: a short request gets its answer, also the one by which a token revokes itself.
    const closeWithToken = () => {
      const forget = sessions.open(found.viewer, found.expiresAt, () => response.destroy());
      response.once('close', forget);
    };
    if (isMultipart) closeWithToken();
    const onEventStream = () => {
      if (response.destroyed) return;
      closeWithToken();
      eventStreams.add(response);
      response.once('close', () => eventStreams.delete(response));
    };
    await yoga.handle(request, response, { req: request, viewer: found.viewer, onEventStream });
  }

  let stopped: Promise<void> | undefined;
  async function stop() {
    isDraining = true;
    // Broken off, not completed: to a watcher completion means that the run is over.
    for (const response of eventStreams) response.destroy();
    await sockets.stop();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_PATIENCE_MS);
    await closed;
    clearTimeout(timer);
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        const onError = (error: NodeJS.ErrnoException) => reject(explainListenError(error, env));
        server.once('error', onError);
        server.listen(env.port, env.host, () => {
          server.off('error', onError);
          const { port } = server.address() as AddressInfo;
          const host = env.host.includes(':') ? `[${env.host}]` : env.host;
          resolve(`http://${host}:${port}`);
        });
      }),
    drain() {
      isDraining = true;
    },
    stop: () => (stopped ??= stop()),
  };
}

function explainListenError(cause: NodeJS.ErrnoException, { host, port }: Pick<Env, 'host' | 'port'>): Error {
  const reasons: Record<string, string> = {
    EADDRINUSE: `PORT: something listens on ${host}:${port} already. Stop it, or choose another port.`,
    EACCES: `PORT: this user may not listen on ${port}. Choose a port above 1023.`,
    EADDRNOTAVAIL: `HOST: this machine has no address ${host}. Choose one that it has, or 0.0.0.0 for all of them.`,
    ENOTFOUND: `HOST: nobody knows an address for ${host}.`,
  };
  const reason = reasons[cause.code ?? ''];
  return reason === undefined ? cause : new StartError(reason, { cause });
}

/** A browser that opens /graphql, also by a link with a query in it, is shown GraphiQL, which asks for a token itself. */
function isPageRequest(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.accept?.includes('text/html') === true;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}
