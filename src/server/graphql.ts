import type { Viewer } from '../context.ts';
import { createExecutor, type Executor } from './executor.ts';
import type { GraphqlRequest } from './graphql-request.ts';
import { createOperations, type Operation } from './operations.ts';
import type { PersistedOperations } from './persisted-operations.ts';
import type { RateLimits } from './rate-limits.ts';

export interface Prepared {
  operation: Operation;
  variables: Readonly<Record<string, unknown>>;
}

export interface Graphql extends Executor {
  /** Finds, parses, validates and weighs the document. Throws RefusalError, DocumentError and CohortSyncError. */
  prepare(request: GraphqlRequest, viewer: Viewer): Promise<Prepared>;
}

export function createGraphql(
  options: Parameters<typeof createExecutor>[0] &
    Parameters<typeof createOperations>[0] & {
      persisted: PersistedOperations;
      limits: RateLimits;
    },
): Graphql {
  const { persisted, limits } = options;
  const operations = createOperations(options);
  return {
    ...createExecutor(options),
    async prepare(request, viewer) {
      const text = persisted.textOf(request);
      const operationName = request.operationName ?? undefined;
      const variables = request.variables ?? {};
      const operation = operations.isKnown(text, operationName)
        ? operations.prepare(text, operationName)
        : await prepareNew(viewer.tokenId, text, operationName);
      operation.costOf(variables);
      return { operation, variables };
    },
  };

  async function prepareNew(tokenId: string, text: string, operationName: string | undefined) {
    await limits.requirePreparationTime(tokenId);
    const begun = performance.now();
    try {
      return operations.prepare(text, operationName);
    } finally {
      await limits.countPreparation(tokenId, performance.now() - begun);
    }
  }
}
