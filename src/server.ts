import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { contextCacheSymbol } from '@pothos/core';
import type { GraphQLSchema } from 'graphql';
import type { Context, GatewayDeps } from './context.ts';
import type { Env } from './env.ts';
import { StartError } from './errors.ts';
import { createEventFiling } from './events/file-events.ts';
import { closeRevoked } from './resolvers/api-token.ts';
import { createLoaders, type Loaders } from './resolvers/loaders.ts';
import { createFinalCounts } from './resolvers/sync-run.ts';
import { buildCompilerSchema } from './schema/compiler-schema.ts';
import { createAdmission } from './server/admission.ts';
import { createAuthenticator } from './server/authenticator.ts';
import { MAX_CONNECTIONS } from './server/bounds.ts';
import { callerAddress } from './server/caller-address.ts';
import { createCors } from './server/cors.ts';
import { createEventStreams } from './server/event-streams.ts';
import { createGraphiql } from './server/graphiql.ts';
import { createGraphql } from './server/graphql.ts';
import { createGraphqlHttp } from './server/graphql-http.ts';
import { pathOf } from './server/graphql-request.ts';
import { createEventReceiver, handleIterableWebhook } from './server/iterable-webhook.ts';
import { handleMixpanelWebhook } from './server/mixpanel-webhook.ts';
import type { PersistedOperations } from './server/persisted-operations.ts';
import { presentError } from './server/present-error.ts';
import { createRateLimits } from './server/rate-limits.ts';
import { createReadiness } from './server/readiness.ts';
import { badRequest, RefusalError } from './server/refusal.ts';
import { sendErrors, sendJson, sendRefusal } from './server/respond.ts';
import { setApiHeaders } from './server/security-headers.ts';
import { createSessions } from './server/sessions.ts';
import { createUploads } from './server/upload.ts';
import { createSockets } from './server/websocket.ts';
import { createWelcomePage } from './server/welcome-page.ts';
import type { SyncDeps } from './sync/deps.ts';
import type { Live } from './sync/live.ts';

/** Longer than load balancers and partners keep a connection that is idle: else a call may meet its end. */
const KEEP_ALIVE_MS = 65_000;
const HEADERS_PATIENCE_MS = 15_000;
const CLOSE_PATIENCE_MS = 3_000;
const UPLOAD_PATIENCE_MS = 3_600_000;

export interface Server {
  /** Where it listens: http://host:port. */
  listen(): Promise<string>;
  /** There is a first token: what was sent before it counts anew. */
  open(): void;
  /** /ready says no from now on. */
  drain(): void;
  /** Ends streams and sockets, and answers what is under way. Bounded in time. */
  stop(): Promise<void>;
}

/** The HTTP surface of the service. */
export function createServer(options: {
  env: Env;
  schema: GraphQLSchema;
  sync: GatewayDeps;
  webhookSync: SyncDeps;
  live: Live;
  persisted: PersistedOperations;
  isReady: () => Promise<boolean>;
}): Server {
  const { env, schema, sync, webhookSync, live } = options;
  const { logger } = sync;
  const receiver = createEventReceiver(webhookSync);
  const events = createEventFiling(sync.engine);
  const sessions = createSessions(() => sync.clock.now());
  const finalCounts = createFinalCounts();
  const admission = createAdmission();
  const limits = createRateLimits({
    db: sync.db,
    limits: env.rateLimits,
  });
  const authenticator = createAuthenticator({ sync, limits, isHearing: live.isHearing });
  const graphql = createGraphql({
    schema,
    compilerSchema: buildCompilerSchema(),
    logger,
    limits,
    persisted: options.persisted,
    allowIntrospection: env.allowIntrospection,
    createContext: (viewer, signal): Context => {
      const own = { ...sync, db: sync.pool.viewFor({ key: viewer.tokenId, signal }) };
      let loaders: Loaders | undefined;
      const context = {
        // What Pothos remembers of a role is good for all that the viewer does; it remembers nothing else, for node() is ours.
        // Under the context itself, its map would keep the leavings of each operation until a full garbage collection.
        [contextCacheSymbol]: viewer,
        viewer,
        sync: own,
        live,
        get load() {
          loaders ??= createLoaders(own, viewer.project.id);
          return loaders;
        },
        finalCounts,
        events,
        forgetToken: authenticator.forget,
      };
      return context;
    },
  });
  const shared = { graphql, authenticator, admission, limits, sessions, logger };
  const graphqlHttp = createGraphqlHttp({
    ...shared,
    schema,
    uploads: createUploads(),
    eventStreams: createEventStreams({ schema, graphql, logger }),
  });
  const sockets = createSockets({ ...shared, maxSocketsPerToken: env.maxSocketsPerToken });
  const cors = createCors({ origins: env.corsOrigins, publicUrl: env.publicUrl });
  const graphiql = env.graphiql ? createGraphiql() : undefined;
  const welcomePage = createWelcomePage(env);
  const isReady = createReadiness(options.isReady);
  let isOpen = false;
  let isDraining = false;

  live.onTokenRevoked((tokenId) => {
    authenticator.forget(tokenId);
    sessions.closeToken(tokenId);
  });
  live.onGap(() => {
    authenticator.forgetAll();
    closeRevoked(sync, sessions).catch((error) =>
      logger.warn({ err: error }, 'could not look for tokens that were revoked'),
    );
  });

  const server = createHttpServer(
    {
      headersTimeout: HEADERS_PATIENCE_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // An upload of gigabytes may take its time; other bodies have a deadline where they are read.
      requestTimeout: UPLOAD_PATIENCE_MS,
      // Whoever asks for another protocol (h2c) is answered in this one.
      shouldUpgradeCallback: isWebSocketRequest,
    },
    (request, response) => {
      handle(request, response).catch((error) => fail(request, response, error));
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  // Node listens to no errors of a socket that it hands over, and an error that nobody listens to ends the process.
  server.on('connection', (socket: Socket) => socket.on('error', ignoreBreak));
  server.on('upgrade', onUpgrade);

  async function handle(request: IncomingMessage, response: ServerResponse) {
    // A connection that is kept for a next request would hold up the end of the service.
    response.once('close', () => {
      if (isDraining) server.closeIdleConnections();
    });
    if (!admission.isOpen(request.socket)) return;
    setApiHeaders(response);
    admission.enter(request, response);
    if (!hasUsableHost(request)) throw badRequest('host', 'must be a host, and may have a port.');
    if (cors.handle(request, response)) return;
    const address = callerAddress(request, env.trustedProxies);
    await limits.countRequest(address);
    const path = pathOf(request) ?? '';
    const page = graphiql?.handle(request, response, path);
    if (page) return await page;
    if (path === '/graphql') return await graphqlHttp.handle(request, response, address);
    const [, partner, key] = /^\/webhooks\/(mixpanel|iterable)\/([\w-]+)$/.exec(path) ?? [];
    if (key !== undefined) {
      return partner === 'mixpanel'
        ? await handleMixpanelWebhook(webhookSync, key, request, response)
        : await handleIterableWebhook(receiver, key, request, response);
    }
    if (path === '/health') return sendJson(response, 200, { status: 'ok' });
    if (path === '/ready') {
      const ready = isOpen && !isDraining && (await isReady());
      return sendJson(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready' });
    }
    if (path === '/') return welcomePage.send(response);
    sendJson(response, 404, { error: 'There is nothing here. See / for what is.' });
  }

  function fail(request: IncomingMessage, response: ServerResponse, error: unknown) {
    // A caller who breaks off in the middle of a body is told nothing.
    if (request.errored === error || response.headersSent) return void response.destroy();
    if (error instanceof RefusalError) return sendRefusal(request, response, error);
    sendErrors(request, response, 500, [presentError(error, logger)]);
  }

  function onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer) {
    if (isDraining) return void socket.destroy();
    if (!hasUsableHost(request)) return refuseUpgrade(socket, '400 Bad Request');
    if (!cors.mayConnect(request)) return refuseUpgrade(socket, '403 Forbidden');
    const address = callerAddress(request, env.trustedProxies);
    limits.countRequest(address).then(
      () => sockets.upgrade(request, socket, head, address),
      () => refuseUpgrade(socket, '429 Too Many Requests'),
    );
  }

  let stopped: Promise<void> | undefined;
  async function stop() {
    isDraining = true;
    graphqlHttp.breakStreams();
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
    open() {
      authenticator.forgetAll();
      isOpen = true;
    },
    drain() {
      isDraining = true;
    },
    stop: () => (stopped ??= stop()),
  };
}

function isWebSocketRequest(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket' && pathOf(request) === '/graphql';
}

/** Libraries make an address of it, and some answer with a stack when they cannot. */
function hasUsableHost({ headers: { host } }: IncomingMessage): boolean {
  return host === undefined || URL.canParse(`http://${host}/`);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** The request or the WebSocket that the socket carries is told by itself. */
function ignoreBreak(): void {}

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
