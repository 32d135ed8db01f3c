import type { ExecutionResult } from 'graphql';
import {
  type DocumentNode,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getVariableValues,
  Kind,
  NoSchemaIntrospectionCustomRule,
  type OperationDefinitionNode,
  type OperationTypeNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit';
import { LRUCache } from 'lru-cache';
import type { Context } from '../context.ts';
import { BadUserInputError, CohortSyncError } from '../errors.ts';
import { COMPILE_AT_USE, MAX_CACHED_DOCUMENT_BYTES, MAX_KEPT_DOCUMENT_BYTES, MAX_TOKENS } from './bounds.ts';
import { type Cost, createCost } from './operation-cost.ts';

export type Variables = Readonly<Record<string, unknown>>;

/** One operation of a document that has been parsed and validated, ready to be executed any number of times. */
export interface Operation {
  /** Unique within the process; tells operations apart where answers are shared. */
  id: number;
  kind: OperationTypeNode;
  /** The operation with the fragments of its document. */
  document: DocumentNode;
  /** What an execution with these variables costs. Throws CohortSyncError QUERY_TOO_COMPLEX. */
  costOf(variables: Variables): number;
  /** Executes a query or a mutation; for a subscription, what one of its events is answered with. */
  execute(
    context: Context,
    variables: Variables,
    options: { rootValue?: unknown; signal: AbortSignal },
  ): Promise<ExecutionResult> | ExecutionResult;
}

/** A document that is not executed. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly errors: readonly GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super(errors[0]?.message);
    this.errors = errors;
  }
}

export interface Operations {
  /** Whether prepare answers from memory. */
  isKnown(text: string, operationName: string | undefined): boolean;
  /** Parses and validates a document. Throws DocumentError, and CohortSyncError for one that is too large. */
  prepare(text: string, operationName: string | undefined): Operation;
}

type Entry = Operation | DocumentError | CohortSyncError;

/**
 * Documents are kept by their text and the name of the operation, bounded in bytes: a caller can send any number of them. An
 * operation that is used again is compiled.
 */
export function createOperations(options: {
  schema: GraphQLSchema;
  /** The same schema as it is to be compiled. */
  compilerSchema: GraphQLSchema;
  allowIntrospection: boolean;
}): Operations {
  const { schema, compilerSchema, allowIntrospection } = options;
  const entries = new LRUCache<string, Entry>({
    maxSize: MAX_CACHED_DOCUMENT_BYTES,
    maxEntrySize: MAX_KEPT_DOCUMENT_BYTES,
    sizeCalculation: (_entry, key) => key.length + 500,
  });
  let lastId = 0;

  function prepareAnew(text: string, operationName: string | undefined): Operation {
    const document = readDocument(text, options);
    const definition = findOperation(document, operationName);
    const own: DocumentNode = {
      kind: Kind.DOCUMENT,
      definitions: [
        definition,
        ...document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION),
      ],
    };
    return createOperation(own, definition);
  }

  function createOperation(document: DocumentNode, definition: OperationDefinitionNode): Operation {
    const cost: Cost = createCost(schema, document, definition);
    let uses = 0;
    let compiled: CompiledQuery | undefined;

    /** Mutations are rare and run in order; they are left to the reference implementation. */
    function findCompiled(): CompiledQuery | undefined {
      if (definition.operation === 'mutation' || uses > COMPILE_AT_USE) return compiled;
      uses++;
      if (uses < COMPILE_AT_USE) return undefined;
      uses = COMPILE_AT_USE + 1;
      const result = compileQuery(compilerSchema, document, definition.name?.value, {
        // Resolvers give what the schema says, which TypeScript holds them to.
        disableLeafSerialization: true,
      });
      compiled = isCompiledQuery(result) ? result : undefined;
      return compiled;
    }

    return {
      id: ++lastId,
      kind: definition.operation,
      document,
      costOf: (variables) => cost.of(variables),
      execute(contextValue, variables, { rootValue, signal }) {
        const ready = findCompiled();
        if (ready) {
          // Compiled code has words of its own for variables that do not fit.
          const { errors } = getVariableValues(schema, definition.variableDefinitions ?? [], variables, {
            hideSuggestions: !allowIntrospection,
          });
          return errors ? { errors } : ready.query(rootValue, contextValue, variables);
        }
        return execute({
          schema,
          document,
          rootValue,
          contextValue,
          variableValues: variables,
          // What a mutation has done is told, whatever became of the rest.
          ...(definition.operation === 'mutation' ? {} : { abortSignal: signal }),
          hideSuggestions: !allowIntrospection,
        });
      },
    };
  }

  const keyOf = (text: string, operationName: string | undefined) => `${operationName ?? ''}\n${text}`;
  return {
    isKnown: (text, operationName) => entries.has(keyOf(text, operationName)),
    prepare(text, operationName) {
      const key = keyOf(text, operationName);
      let entry = entries.get(key);
      if (!entry) {
        try {
          entry = prepareAnew(text, operationName);
        } catch (error) {
          if (!(error instanceof DocumentError || error instanceof CohortSyncError)) throw error;
          entry = error;
        }
        entries.set(key, entry);
      }
      if (entry instanceof Error) throw entry;
      return entry;
    },
  };
}

/** Parses and validates. Throws DocumentError, and CohortSyncError for a document that is too large. */
export function readDocument(
  text: string,
  { schema, allowIntrospection }: { schema: GraphQLSchema; allowIntrospection: boolean },
): DocumentNode {
  const document = parseBounded(text);
  const rules = allowIntrospection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  const errors = validate(schema, document, rules, { hideSuggestions: !allowIntrospection });
  if (errors.length > 0) throw new DocumentError(errors);
  return document;
}

function parseBounded(text: string): DocumentNode {
  try {
    return parse(text, { maxTokens: MAX_TOKENS });
  } catch (error) {
    if (
      error instanceof RangeError ||
      (error instanceof GraphQLError && /Parsing aborted/.test(error.message))
    )
      throw new CohortSyncError('QUERY_TOO_COMPLEX', `The document has more than ${MAX_TOKENS} tokens.`);
    throw error instanceof GraphQLError ? new DocumentError([error]) : error;
  }
}

function findOperation(document: DocumentNode, operationName: string | undefined): OperationDefinitionNode {
  const operations = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  const named =
    operationName === undefined ? operations : operations.filter(({ name }) => name?.value === operationName);
  if (named.length === 1) return named[0]!;
  throw new BadUserInputError([
    {
      path: ['operationName'],
      message: 'must name an operation of the document; it may be left out when the document has only one.',
    },
  ]);
}
