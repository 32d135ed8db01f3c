import { readFile } from 'node:fs/promises';
import type { GraphQLSchema } from 'graphql';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Env } from '../env.ts';
import { CohortSyncError, StartError } from '../errors.ts';
import { DocumentError, readDocument } from './operations.ts';
import { RefusalError } from './refusal.ts';

/** What a request says about its document: the text, or the id of one that the server has. */
export interface DocumentRequest {
  query?: string | null | undefined;
  /** documentId of GraphQL over HTTP, doc_id of Relay. */
  documentId?: string | null | undefined;
  doc_id?: string | null | undefined;
  extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

export interface PersistedOperations {
  /** The text of the document to be executed. Throws RefusalError when it is not allowed, or there is none. */
  textOf(request: DocumentRequest): string;
}

/** As Relay's compiler and the codegen client preset write it, or Apollo's manifest. */
const manifest = z.union([
  z.object({
    format: z.literal('apollo-persisted-query-manifest'),
    operations: z.array(z.object({ id: z.string(), body: z.string() })),
  }),
  z.record(z.string(), z.string()),
]);

/**
 * Reads the list of ids and documents, and logs which of them the schema refuses. Throws StartError when the list is not
 * there or has another form.
 */
export async function readPersistedOperations(options: {
  env: Pick<Env, 'persistedOperations' | 'allowIntrospection'>;
  schema: GraphQLSchema;
  logger: Logger;
}): Promise<PersistedOperations> {
  const { mode, file } = options.env.persistedOperations;
  if (mode === 'off') return createPersistedOperations(mode, new Map());
  const documents = await readManifest(file);
  warnOfRefused(documents, options);
  return createPersistedOperations(mode, documents);
}

/** They do not stop the start: the list may hold operations of older clients, whose other operations still work. */
function warnOfRefused(
  documents: ReadonlyMap<string, string>,
  { env, schema, logger }: Parameters<typeof readPersistedOperations>[0],
): void {
  for (const [id, text] of documents) {
    try {
      readDocument(text, { schema, allowIntrospection: env.allowIntrospection });
    } catch (error) {
      if (!(error instanceof DocumentError || error instanceof CohortSyncError)) throw error;
      logger.warn({ operationId: id, reason: error.message }, 'a persisted operation cannot be executed');
    }
  }
}

function createPersistedOperations(
  mode: Env['persistedOperations']['mode'],
  documents: ReadonlyMap<string, string>,
): PersistedOperations {
  return {
    textOf(request) {
      const id = idOf(request);
      const known = id === undefined ? undefined : documents.get(id);
      if (known !== undefined) return known;
      if (mode === 'only') {
        throw id === undefined
          ? refusal('FORBIDDEN', 'Only persisted operations are served here: send the id of one.')
          : refusal('PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound');
      }
      // Clients over WebSocket send an empty text with an id, because their protocol wants one.
      if (typeof request.query === 'string' && (request.query !== '' || id === undefined))
        return request.query;
      if (id !== undefined) {
        // Clients with automatic persisted queries send the text next time; told so once, they go on with texts.
        throw mode === 'off'
          ? refusal('PERSISTED_QUERY_NOT_SUPPORTED', 'PersistedQueryNotSupported')
          : refusal('PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound');
      }
      throw refusal('BAD_USER_INPUT', 'query: must be a string.', {
        issues: [{ path: ['query'], message: 'must be a string.' }],
      });
    },
  };
}

/** Apollo's clients send a hash in an object; graphql-ws proposes the id itself. */
function idOf({ documentId, doc_id, extensions }: DocumentRequest): string | undefined {
  const persisted = extensions?.persistedQuery as { sha256Hash?: unknown } | string | null | undefined;
  const id = typeof persisted === 'object' ? persisted?.sha256Hash : persisted;
  return [documentId, doc_id, id].find((one) => typeof one === 'string') as string | undefined;
}

/** Clients look for these codes by their names; they belong to the protocol and not to our list. */
function refusal(code: string, message: string, extensions: Record<string, unknown> = {}): RefusalError {
  const isOurs = code === 'FORBIDDEN' || code === 'BAD_USER_INPUT';
  return new RefusalError(400, isOurs ? code : 'BAD_USER_INPUT', message, {
    extensions: { ...extensions, code },
  });
}

async function readManifest(file: string): Promise<Map<string, string>> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new StartError(`PERSISTED_OPERATIONS_FILE: ${file} cannot be read.`, { cause });
  });
  try {
    const parsed = manifest.parse(JSON.parse(text));
    const isApollo = (value: typeof parsed): value is Extract<typeof parsed, { operations: unknown[] }> =>
      Array.isArray(value.operations);
    return isApollo(parsed)
      ? new Map(parsed.operations.map(({ id, body }) => [id, body]))
      : new Map(Object.entries(parsed));
  } catch (cause) {
    throw new StartError(
      `PERSISTED_OPERATIONS_FILE: ${file} must hold JSON: an object of ids and documents, or Apollo's manifest.`,
      { cause },
    );
  }
}
