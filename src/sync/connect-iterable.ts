import { distrustLists, lockPartnerProject, upsertIntegration } from '../../db/queries/integration-state.ts';
import type { IntegrationRow } from '../../db/tables.ts';
import type { DataCenter, IterableProjectType, UserIdFallback } from '../../db/values.ts';
import { BadUserInputError, CohortSyncError } from '../errors.ts';
import type { SyncDeps } from './deps.ts';
import { createIterableClient, type IterableClient } from './iterable/client.ts';
import {
  InvalidListError,
  IterableError,
  UnauthorizedError,
  UnexpectedAnswerError,
} from './iterable/errors.ts';
import { retryAdvice } from './partner-http.ts';
import { withRetries } from './retry.ts';
import { giveEndpoint } from './webhook-endpoint.ts';

/** What calls to a partner inside a mutation may take. */
export const MUTATION_BUDGET_MS = 10_000;
/** No list has this id: whoever may write is told so, whoever may only read is refused. */
const NO_LIST = '0';

export interface ConnectIterableInput {
  apiKey: string;
  dataCenter: DataCenter;
  projectType: IterableProjectType;
  userIdFallback: UserIdFallback;
  removalGuard: { maxShare: number; minRemovals: number };
}

/** Checks the key against Iterable, then stores it encrypted. Throws CohortSyncError, and then nothing was stored. */
export async function connectIterable(
  deps: SyncDeps,
  { projectId, actor, input }: { projectId: string; actor: string; input: ConnectIterableInput },
): Promise<IntegrationRow> {
  if (input.dataCenter === 'EU' && input.projectType === 'EMAIL') {
    throw new BadUserInputError([
      {
        path: ['input', 'projectType'],
        message: 'Iterable has no e-mail-based projects in its EU data center; choose USER_ID or HYBRID.',
      },
    ]);
  }
  const partnerProjectId = await checkKey(
    createIterableClient({
      baseUrl: deps.env.iterable.baseUrl[input.dataCenter],
      apiKey: input.apiKey,
      timeoutMs: MUTATION_BUDGET_MS,
    }),
  );
  const now = deps.clock.now();
  return await deps.db.transaction().execute(async (trx) => {
    const before = await lockPartnerProject(trx, projectId, 'ITERABLE');
    const integration = await upsertIntegration(trx, {
      projectId,
      provider: 'ITERABLE',
      dataCenter: input.dataCenter,
      projectType: input.projectType,
      userIdFallback: input.userIdFallback,
      guard: input.removalGuard,
      apiKey: deps.secrets.encrypt(input.apiKey),
      apiKeyHint: input.apiKey.slice(-4),
      connectedAt: now,
      connectedBy: actor,
      partnerProjectId,
    });
    await giveEndpoint({ ...deps, db: trx }, projectId, 'ITERABLE');
    const isSameProject = partnerProjectId !== null && partnerProjectId === before?.partner_project_id;
    if (!isSameProject || input.projectType !== before.project_type)
      await distrustLists(trx, integration.id, now);
    return integration;
  });
}

/** Gives Iterable's id of the key's project, null when it is not told. Throws CohortSyncError. */
async function checkKey(client: IterableClient): Promise<string | null> {
  const deadline = AbortSignal.timeout(MUTATION_BUDGET_MS);
  const once = <T>(send: () => Promise<T>) =>
    withRetries(send, { budgetMs: MUTATION_BUDGET_MS, signal: deadline });
  try {
    await once(() => client.listLists({ signal: deadline }));
  } catch (error) {
    throw toPublicError(
      error,
      'INVALID_CREDENTIALS',
      'Iterable does not accept this key. Use a server-side key, and check the data center: a key belongs to one.',
    );
  }
  try {
    await once(() => client.unsubscribe(NO_LIST, [], { signal: deadline }));
    return null;
  } catch (error) {
    // "No such list" is what a key that may write is told.
    if (error instanceof InvalidListError) return error.projectId ?? null;
    if (error instanceof UnexpectedAnswerError) return null;
    throw toPublicError(
      error,
      'INSUFFICIENT_PERMISSIONS',
      'This key may read in Iterable but not write. Use a server-side key that is not read-only.',
    );
  }
}

function toPublicError(
  error: unknown,
  refusal: 'INVALID_CREDENTIALS' | 'INSUFFICIENT_PERMISSIONS',
  advice: string,
): unknown {
  if (error instanceof UnauthorizedError) return new CohortSyncError(refusal, advice, { cause: error });
  if (error instanceof IterableError) {
    return new CohortSyncError('PARTNER_UNAVAILABLE', `${error.message}${retryAdvice(error)}`, {
      cause: error,
    });
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new CohortSyncError(
      'PARTNER_UNAVAILABLE',
      'Iterable did not answer in time. Try again in a moment.',
      {
        cause: error,
      },
    );
  }
  return error;
}
