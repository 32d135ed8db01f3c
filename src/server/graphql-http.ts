import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLSchema } from 'graphql';
import type { Logger } from 'pino';
import type { Viewer } from '../context.ts';
import { CohortSyncError } from '../errors.ts';
import type { Admission } from './admission.ts';
import type { Authenticated, Authenticator } from './authenticator.ts';
import { readBody } from './body.ts';
import { ANSWER_PATIENCE_MS, MAX_BODY_BYTES, MIN_COUNTED_BYTES } from './bounds.ts';
import { checkUploadOperation } from './check-upload.ts';
import type { EventStreams } from './event-streams.ts';
import type { Answer } from './executor.ts';
import type { Graphql, Prepared } from './graphql.ts';
import { checkRequest, type GraphqlRequest, readJsonRequest, readQueryRequest } from './graphql-request.ts';
import {
  acceptsEventStream,
  answerTypeOf,
  contentTypeOf,
  EVENT_STREAM_TYPE,
  errorTypeOf,
  GRAPHQL_TYPE,
  JSON_TYPE,
} from './negotiate.ts';
import { DocumentError } from './operations.ts';
import { presentError } from './present-error.ts';
import type { RateLimits } from './rate-limits.ts';
import { badRequest, RefusalError } from './refusal.ts';
import { sendErrors, sendRefusal, sendText } from './respond.ts';
import type { Sessions } from './sessions.ts';
import type { Uploads } from './upload.ts';

const MULTIPART_TYPE = 'multipart/form-data';

export interface GraphqlHttp {
  handle(request: IncomingMessage, response: ServerResponse, address: string): Promise<void>;
  /** Breaks off every event stream: to a watcher completion would mean that the run is over. */
  breakStreams(): void;
}

/** GraphQL over HTTP: GET and POST, JSON and multipart bodies, answers as JSON or as an event stream. */
export function createGraphqlHttp(options: {
  schema: GraphQLSchema;
  uploads: Uploads;
  graphql: Graphql;
  eventStreams: EventStreams;
  authenticator: Authenticator;
  admission: Admission;
  limits: RateLimits;
  sessions: Sessions;
  logger: Logger;
}): GraphqlHttp {
  const { graphql, uploads, authenticator, admission, limits, sessions, logger } = options;
  const streams = new Set<ServerResponse>();

  async function handle(request: IncomingMessage, response: ServerResponse, address: string) {
    try {
      if (request.method !== 'GET' && request.method !== 'POST') {
        throw new RefusalError(405, 'BAD_USER_INPUT', 'Send a GET or a POST.', {
          headers: { allow: 'GET, POST, OPTIONS' },
        });
      }
      const caller = await authenticator.authenticate(request.headers.authorization, address);
      const { viewer } = caller;
      admission.enterToken(viewer.tokenId, response);
      const rateHeaders = await limits.countToken(viewer.tokenId);
      for (const name in rateHeaders) response.setHeader(name, rateHeaders[name]!);
      if (contentTypeOf(request)?.type === MULTIPART_TYPE) {
        return await handleUpload(request, response, caller);
      }
      holdBody(request, response, viewer);
      const asked = await readRequest(request);
      await answer(request, response, caller, await graphql.prepare(asked, viewer));
    } catch (error) {
      if (request.errored === error) throw error;
      refuse(request, response, error);
    }
  }

  /** Before the body is read, by what it may have at most. */
  function holdBody(request: IncomingMessage, response: ServerResponse, { tokenId }: Viewer) {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    const bytes = encoding === undefined ? Number(length ?? 0) : MAX_BODY_BYTES;
    // What is larger than allowed is not read.
    if (bytes <= MIN_COUNTED_BYTES || bytes > MAX_BODY_BYTES) return;
    response.once('close', admission.reserveBytes(tokenId, bytes));
  }

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    caller: Authenticated,
    prepared: Prepared,
  ) {
    const { viewer } = caller;
    const type = answerTypeOf(request);
    if (type === undefined) {
      throw badRequest('accept', `must allow ${JSON_TYPE}, ${GRAPHQL_TYPE} or ${EVENT_STREAM_TYPE}.`, 406);
    }
    const { operation } = prepared;
    if (operation.kind === 'mutation') {
      if (request.method === 'GET') {
        throw new RefusalError(405, 'BAD_USER_INPUT', 'Send a mutation by POST.', {
          headers: { allow: 'POST' },
        });
      }
      await limits.countMutation(viewer.tokenId);
    }
    const isSubscription = operation.kind === 'subscription';
    if (type === EVENT_STREAM_TYPE || (isSubscription && acceptsEventStream(request))) {
      openStream(response, caller);
      return await options.eventStreams.handle(request, response, { viewer, prepared });
    }
    if (isSubscription) {
      throw badRequest(
        'accept',
        `must be ${EVENT_STREAM_TYPE} for a subscription; or use a WebSocket (graphql-transport-ws).`,
        406,
      );
    }
    const result = await graphql.run(
      { viewer, ...prepared },
      {
        onLeft(leave) {
          response.once('close', leave);
          return () => response.off('close', leave);
        },
      },
    );
    sendAnswer(response, viewer, type, result);
  }

  /** Errors before the execution, for example of variables, leave no data: 400 in the newer media type. */
  function sendAnswer(
    response: ServerResponse,
    viewer: Viewer,
    type: typeof JSON_TYPE | typeof GRAPHQL_TYPE,
    { result, text }: Answer,
  ) {
    if (response.destroyed) return;
    if (text.length > MIN_COUNTED_BYTES) {
      const release = admission.reserveBytes(viewer.tokenId, text.length);
      const timer = setTimeout(() => response.destroy(), ANSWER_PATIENCE_MS).unref();
      response.once('close', () => {
        clearTimeout(timer);
        release();
      });
    }
    sendText(response, type === GRAPHQL_TYPE && !('data' in result) ? 400 : 200, type, text);
  }

  async function handleUpload(request: IncomingMessage, response: ServerResponse, caller: Authenticated) {
    holdSession(response, caller);
    const { viewer } = caller;
    let prepared: Prepared | undefined;
    const upload = await uploads.receive(request, {
      projectId: viewer.project.id,
      async check(params, filePaths) {
        prepared = await graphql.prepare(checkRequest(params), viewer);
        const { document } = prepared.operation;
        checkUploadOperation({ schema: options.schema, document, filePath: filePaths[0]!, viewer });
      },
    });
    try {
      await answer(request, response, caller, prepared!);
    } finally {
      await upload.dispose();
    }
  }

  /** A stream goes on until it is broken off, and with its token at the latest. */
  function openStream(response: ServerResponse, caller: Authenticated) {
    holdSession(response, caller);
    streams.add(response);
    response.once('close', () => streams.delete(response));
  }

  /** The response is broken off with its token. */
  function holdSession(response: ServerResponse, { viewer, expiresAt }: Authenticated) {
    const session = { tokenId: viewer.tokenId, revoke: () => void response.destroy() };
    sessions.add(session, expiresAt);
    response.once('close', () => sessions.delete(session));
  }

  function refuse(request: IncomingMessage, response: ServerResponse, error: unknown) {
    if (response.headersSent || response.destroyed) return void response.destroy();
    if (error instanceof RefusalError) return sendRefusal(request, response, error);
    // The document is at fault, not the request: in the older media type that is an answer like any other.
    const isWellFormed = errorTypeOf(request) === JSON_TYPE;
    if (error instanceof DocumentError) {
      const errors = error.errors.map((one) => presentError(one, logger));
      return sendErrors(request, response, isWellFormed ? 200 : 400, errors);
    }
    const status = error instanceof CohortSyncError ? (isWellFormed ? 200 : 400) : 500;
    sendErrors(request, response, status, [presentError(error, logger)]);
  }

  return {
    handle,
    breakStreams() {
      for (const response of streams) response.destroy();
    },
  };
}

async function readRequest(request: IncomingMessage): Promise<GraphqlRequest> {
  if (request.method === 'GET') return readQueryRequest(request.url ?? '');
  const content = contentTypeOf(request);
  if (content?.type !== JSON_TYPE && content?.type !== GRAPHQL_TYPE) {
    throw badRequest('content-type', `must be ${JSON_TYPE}, or ${MULTIPART_TYPE} for an upload.`, 415);
  }
  if (content.charset !== 'utf-8' && content.charset !== 'utf8') {
    throw badRequest('content-type', 'must have the charset utf-8.', 415);
  }
  return readJsonRequest(await readBody(request, { maxBytes: MAX_BODY_BYTES }));
}
