import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Load {
  url: string;
  /** Whole requests, head and body; each connection takes the next of them in turn. */
  requests: string[];
  /** Each has one request under way. */
  connections: number;
  seconds: number;
}

export interface LoadReport {
  requests: number;
  seconds: number;
  /** Milliseconds, as are the following. */
  p50: number;
  p99: number;
  firstByteP50: number;
  /** Of an answer with its head, on average. */
  bytes: number;
  /** Of the callers themselves. */
  cpuSeconds: number;
}

export interface LoadProcess {
  /** Throws when an answer is not 200, or has errors. */
  run(load: Load): Promise<LoadReport>;
  stop(): Promise<void>;
}

/** Starts bench/support/load.ts as a process of its own. */
export function startLoadProcess(): LoadProcess {
  const child = fork(fileURLToPath(new URL('./load.ts', import.meta.url)), [], { execArgv: [] });
  const exited = once(child, 'exit');
  return {
    async run(load) {
      child.send(load);
      const [{ report, error }] = await once(child, 'message');
      if (error !== undefined) throw new Error(error);
      return report;
    },
    async stop() {
      child.disconnect();
      await exited;
    },
  };
}

/** A GraphQL request as bytes for a connection that is kept. */
export function graphqlRequest(
  token: string,
  body: { query: string; variables?: Record<string, unknown> },
): string {
  const text = JSON.stringify(body);
  return [
    'POST /graphql HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Accept: application/json',
    `Content-Length: ${Buffer.byteLength(text)}`,
    '',
    text,
  ].join('\r\n');
}
