import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionResult, GraphQLSchema } from 'graphql';
import type { Logger } from 'pino';
import type { Viewer } from '../context.ts';
import type { Answer, Call } from './executor.ts';
import type { Graphql, Prepared } from './graphql.ts';
import { presentError } from './present-error.ts';

/** What Yoga is given with a request. */
interface StreamContext {
  viewer: Viewer;
  prepared: Prepared;
  response: ServerResponse;
}

export interface EventStreams {
  /** Answers an operation as server-sent events (the distinct connections mode of GraphQL over SSE). */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    call: Pick<StreamContext, 'viewer' | 'prepared'>,
  ): Promise<void>;
}

/**
 * Yoga speaks the protocol; documents are prepared and executed by the same code as for every other transport. It is large,
 * and loaded for the first who asks for a stream: many a gateway is asked for none.
 */
export function createEventStreams(options: {
  schema: GraphQLSchema;
  graphql: Graphql;
  logger: Logger;
}): EventStreams {
  const { graphql, logger } = options;

  async function answer(call: Call, response: ServerResponse) {
    if (call.operation.kind !== 'subscription') {
      return (await graphql.run(call, { onLeft: (leave) => onClose(response, leave) })).result;
    }
    const answers = await graphql.subscribe(call);
    return Symbol.asyncIterator in answers ? resultsOf(answers) : answers.result;
  }

  const createYoga = async () =>
    (await import('graphql-yoga')).createYoga<StreamContext>({
      schema: options.schema,
      graphqlEndpoint: '*',
      landingPage: false,
      graphiql: false,
      cors: false,
      batching: false,
      multipart: false,
      logging: false,
      maskedErrors: false,
      parserAndValidationCache: false,
      plugins: [
        {
          onRequestParse({ setRequestParser }) {
            // The document has been read and prepared; Yoga wants to see one.
            setRequestParser(() => ({ query: '{ __typename }' }));
          },
          onParams({ setParamsHandler, context }) {
            const { viewer, prepared, response } = context as unknown as StreamContext;
            setParamsHandler(async () => {
              try {
                return await answer({ viewer, ...prepared }, response);
              } catch (error) {
                return { errors: [presentError(error, logger)] };
              }
            });
          },
        },
      ],
    });
  let yoga: ReturnType<typeof createYoga> | undefined;
  return {
    async handle(request, response, call) {
      // nginx would hold events back.
      response.setHeader('x-accel-buffering', 'no');
      yoga ??= createYoga();
      await (await yoga).handle(request, response, { ...call, response } as never);
    },
  };
}

function onClose(response: ServerResponse, leave: () => void): () => void {
  response.once('close', leave);
  return () => response.off('close', leave);
}

function resultsOf(answers: AsyncIterableIterator<Answer>): AsyncIterableIterator<ExecutionResult> {
  const results: AsyncIterableIterator<ExecutionResult> = {
    async next() {
      const { done, value } = await answers.next();
      return done ? { done, value: undefined } : { done: false, value: value.result };
    },
    async return() {
      await answers.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => results,
  };
  return results;
}
