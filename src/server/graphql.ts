import type { IncomingMessage } from 'node:http';
import { GraphQLError, type GraphQLSchema } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { Context, GatewayDeps, Viewer } from '../context.ts';
import { BadUserInputError, CohortSyncError } from '../errors.ts';
import { createEventFiling } from '../events/file-events.ts';
import { createLoaders } from '../resolvers/loaders.ts';
import type { SyncDeps } from '../sync/deps.ts';
import type { Live } from '../sync/live.ts';
import { presentError } from './present-error.ts';
import { type MultipartOperation, readMultipart } from './upload.ts';

/** The whole schema can be asked for in less than a tenth of this. */
const MAX_TOKENS = 10_000;

/** What the transport knows of a request. */
export interface RequestContext {
  req: IncomingMessage;
  viewer: Viewer;
  /** Told when the answer is a stream that goes on until it is broken off. */
  onEventStream?: () => void;
}

export type Yoga = ReturnType<typeof createGraphql>;

/** The GraphQL engine behind HTTP, server-sent events and WebSocket alike. Callers are known before it is asked. */
export function createGraphql(options: { schema: GraphQLSchema; sync: GatewayDeps; live: Live }) {
  const { schema, sync, live } = options;
  const events = createEventFiling(sync.engine);
  return createYoga<RequestContext, Context>({
    schema,
    graphqlEndpoint: '/graphql',
    landingPage: false,
    graphiql: {
      title: 'Cohort Sync',
      // By WebSocket it would not send the headers, and with them the token.
      subscriptionsProtocol: 'SSE',
      headers: '{ "authorization": "Bearer <token>" }',
      defaultQuery:
        '# Put your token into Headers below.\n{\n  viewer {\n    role\n    project {\n      name\n    }\n  }\n}\n',
    },
    // From our own files instead of a CDN; several megabytes, so not before somebody opens it.
    renderGraphiQL: async (options) => {
      const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
      return renderGraphiQL(options);
    },
    healthCheckEndpoint: '/health/graphql',
    cors: false,
    batching: false,
    multipart: false,
    // Bodies are bounded where they are read: src/server/body.ts and upload.ts. Yoga would refuse files of 25 MB.
    maxRequestBodySize: false,
    parserAndValidationCache: true,
    logging: false,
    maskedErrors: { maskError: (error) => presentError(error, sync.logger) },
    context: ({ viewer }) => ({
      viewer,
      sync,
      live,
      load: createLoaders(sync, viewer.project.id),
      events,
    }),
    plugins: [boundsPlugin(), badParametersPlugin(), multipartPlugin(), presentingPlugin(sync)],
  });
}

/** Documents that would be parsed or validated for ever, or deeper than the stack goes. */
function boundsPlugin(): Plugin {
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source: string, options: object) => {
        try {
          return parseFn(source, { ...options, maxTokens: MAX_TOKENS });
        } catch (error) {
          if (!isTooLong(error)) throw error;
          throw new CohortSyncError('QUERY_TOO_COMPLEX', `The document has more than ${MAX_TOKENS} tokens.`);
        }
      });
    },
  };
}

function isTooLong(error: unknown): boolean {
  return (
    error instanceof RangeError || (error instanceof GraphQLError && /Parsing aborted/.test(error.message))
  );
}

/** Parameters of a GET or a form that are to be JSON, and are not. */
function badParametersPlugin(): Plugin {
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (!requestParser) return;
      setRequestParser(async (request) => {
        try {
          return await requestParser(request);
        } catch (error) {
          if (!(error instanceof SyntaxError)) throw error;
          throw new BadUserInputError([
            { path: ['variables'], message: 'must be JSON, and so must extensions.' },
          ]);
        }
      });
    },
  };
}

/** Multipart bodies are read as they come in, where Yoga would hold them in memory. */
function multipartPlugin(): Plugin<object, RequestContext> {
  const operations = new WeakMap<Request, MultipartOperation>();
  return {
    onRequestParse({ request, setRequestParser, serverContext }) {
      if (
        request.method !== 'POST' ||
        !request.headers.get('content-type')?.startsWith('multipart/form-data')
      )
        return;
      setRequestParser(async () => {
        // A header that no page of another site can send without being asked first.
        if (
          !request.headers.has('graphql-require-preflight') &&
          !request.headers.has('x-graphql-yoga-csrf')
        ) {
          serverContext.req.resume();
          throw new BadUserInputError([
            {
              path: ['headers'],
              message:
                'a multipart request needs the header graphql-require-preflight or x-graphql-yoga-csrf.',
            },
          ]);
        }
        const operation = await readMultipart(serverContext.req);
        operations.set(request, operation);
        return operation.params;
      });
    },
    async onResponse({ request, response, serverContext }) {
      if (response.headers.get('content-type')?.startsWith('text/event-stream'))
        serverContext?.onEventStream?.();
      await operations.get(request)?.dispose();
    },
  };
}

/** Errors that arise before execution (syntax, validation, variables) are told in the same words as all others. */
function presentingPlugin({ logger }: SyncDeps): Plugin<object, RequestContext> {
  return {
    onResultProcess({ result, setResult }) {
      if (Array.isArray(result) || !('errors' in result) || !result.errors) return;
      setResult({ ...result, errors: result.errors.map((error) => presentError(error, logger)) });
    },
  };
}
