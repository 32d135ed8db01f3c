import { type Client, createClient } from 'graphql-ws';
import WebSocket from 'ws';

export interface GraphqlError {
  message: string;
  path?: (string | number)[];
  extensions: { code?: string; issues?: { path: (string | number)[]; message: string }[] } & Record<
    string,
    unknown
  >;
}

export interface GraphqlAnswer<Data> {
  status: number;
  data: Data | null | undefined;
  errors: GraphqlError[] | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape; the assertions are the types.
export type AnyData = any;

/** A caller of the public API with one token, over HTTP, server-sent events and WebSocket. */
export interface ApiClient {
  /** The whole answer, errors included. */
  send<Data = AnyData>(
    query: string,
    variables?: Record<string, unknown>,
    headers?: Record<string, string>,
  ): Promise<GraphqlAnswer<Data>>;
  /** The data; throws when the answer holds errors. */
  query<Data = AnyData>(query: string, variables?: Record<string, unknown>): Promise<Data>;
  /** The only error of an operation that must fail. */
  fail(query: string, variables?: Record<string, unknown>): Promise<GraphqlError>;
  /** A multipart request (GraphQL multipart request specification) whose variables.input.file is the file. */
  upload(
    query: string,
    variables: { input: Record<string, unknown> },
    file: { name: string; content: string | Blob },
    headers?: Record<string, string>,
  ): Promise<GraphqlAnswer<AnyData>>;
  /** Values of a subscription over server-sent events; ends when the server completes it. */
  sse<Data = AnyData>(query: string, variables?: Record<string, unknown>): AsyncGenerator<Data>;
  /** A graphql-transport-ws client; dispose() it. */
  webSocket(options?: { authorization?: string | null }): Client;
}

export function createApiClient(url: string, token: string | undefined): ApiClient {
  const authorization = token === undefined ? undefined : `Bearer ${token}`;
  const authHeaders: Record<string, string> = authorization === undefined ? {} : { authorization };
  const endpoint = `${url}/graphql`;

  const client: ApiClient = {
    async send(query, variables = {}, headers = {}) {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authHeaders, ...headers },
        body: JSON.stringify({ query, variables }),
      });
      return await readAnswer(response);
    },
    async query(query, variables) {
      const { data, errors } = await client.send(query, variables);
      if (errors) throw new Error(`The operation failed: ${JSON.stringify(errors)}`);
      return data;
    },
    async fail(query, variables) {
      const { errors } = await client.send(query, variables);
      if (errors?.length !== 1) throw new Error(`One error was expected, not ${JSON.stringify(errors)}`);
      return errors[0]!;
    },
    async upload(query, variables, file, headers = { 'graphql-require-preflight': '1' }) {
      const form = new FormData();
      const withFile = { ...variables, input: { ...variables.input, file: null } };
      form.set('operations', JSON.stringify({ query, variables: withFile }));
      form.set('map', JSON.stringify({ 0: ['variables.input.file'] }));
      form.set('0', typeof file.content === 'string' ? new Blob([file.content]) : file.content, file.name);
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { ...authHeaders, ...headers },
        body: form,
      });
      return await readAnswer(response);
    },
    async *sse(query, variables = {}) {
      const ending = new AbortController();
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...authHeaders },
        body: JSON.stringify({ query, variables }),
        signal: ending.signal,
      });
      try {
        let text = '';
        const decoder = new TextDecoder();
        for await (const chunk of response.body!) {
          text += decoder.decode(chunk, { stream: true });
          const events = text.split('\n\n');
          text = events.pop()!;
          for (const event of events) {
            if (/^event: complete/m.test(event)) return;
            const data = /^data: (.+)$/m.exec(event)?.[1];
            if (data === undefined) continue;
            const { data: value, errors } = JSON.parse(data);
            if (errors) throw new Error(`The subscription failed: ${JSON.stringify(errors)}`);
            yield value;
          }
        }
      } finally {
        ending.abort();
      }
    },
    webSocket({ authorization: given = authorization } = {}) {
      return createClient({
        url: endpoint.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: given === null || given === undefined ? {} : { authorization: given },
        retryAttempts: 0,
        lazy: true,
      });
    },
  };
  return client;
}

async function readAnswer(response: Response): Promise<GraphqlAnswer<AnyData>> {
  const { data, errors } = (await response.json()) as GraphqlAnswer<AnyData>;
  return { status: response.status, data, errors };
}
