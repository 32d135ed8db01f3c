import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import type { Logger } from 'pino';
import { CohortSyncError, ERROR_CODES, SyncAlreadyRunningError } from '../errors.ts';
import { encodeId } from '../schema/global-id.ts';
import { busyErrorOf } from '../sync/database-error.ts';

/**
 * What a caller is told of an error. Expected ones keep their message and code; GraphQL's own are the caller's input;
 * anything else is logged whole, and the answer names only the line in the log.
 */
export function presentError(error: unknown, logger: Logger): GraphQLError {
  const located = error instanceof GraphQLError ? error : undefined;
  const found = findOriginal(error);
  const original = busyErrorOf(found) ?? found;
  const place = { nodes: located?.nodes ?? null, path: located?.path ?? null };
  const at = (shown: GraphQLError) => withLocations(shown, located);
  if (original instanceof CohortSyncError) {
    return at(
      new GraphQLError(original.message, {
        ...place,
        extensions: { code: original.code, ...original.extensions, ...runIdOf(original) },
      }),
    );
  }
  if (original === undefined && located) {
    if (isOurs(located)) return located;
    return at(
      new GraphQLError(located.message, {
        nodes: located.nodes ?? null,
        source: located.source ?? null,
        positions: located.positions ?? null,
        path: located.path ?? null,
        extensions: {
          code: 'BAD_USER_INPUT',
          issues: [
            { path: [...(located.path ?? variablePathOf(located.message))], message: located.message },
          ],
        },
      }),
    );
  }
  if (original instanceof RangeError && /call stack/.test(original.message)) {
    return at(
      new GraphQLError('The operation is nested too deeply.', {
        ...place,
        extensions: { code: 'QUERY_TOO_COMPLEX' },
      }),
    );
  }
  const errorId = randomUUID();
  logger.error({ err: original ?? error, errorId }, 'an operation failed by a fault of ours');
  return at(new GraphQLError('Unexpected error.', { ...place, extensions: { errorId } }));
}

/** The error that was thrown, below the ones that GraphQL wraps around it. */
function findOriginal(error: unknown): unknown {
  if (!(error instanceof GraphQLError)) return error;
  return error.originalError === undefined ? undefined : findOriginal(error.originalError);
}

/** graphql says in words alone which variable does not fit, and where in it. */
function variablePathOf(message: string): (string | number)[] {
  const [, variable, place = ''] =
    /^Variable "\$(\w+)" has invalid value(?: at ((?:\.\w+|\[\d+\])+))?:/.exec(message) ?? [];
  if (variable === undefined) return [];
  const steps = place.match(/\w+/g) ?? [];
  return [variable, ...steps.map((step) => (/^\d+$/.test(step) ? Number(step) : step))];
}

function isOurs(error: GraphQLError): boolean {
  // Compiled operations make errors without any.
  const { code, errorId } = error.extensions ?? {};
  return errorId !== undefined || (ERROR_CODES as readonly unknown[]).includes(code);
}

function runIdOf(error: CohortSyncError): { runId?: string } {
  return error instanceof SyncAlreadyRunningError ? { runId: encodeId('SyncRun', error.runId) } : {};
}

/** Errors of compiled operations know their locations and not their nodes. */
function withLocations(shown: GraphQLError, located: GraphQLError | undefined): GraphQLError {
  if (!shown.locations && located?.locations)
    Object.defineProperty(shown, 'locations', { value: located.locations, enumerable: true });
  return shown;
}
