import { setIntegrationAttention } from '../../db/queries/integration-state.ts';
import { setMixpanelAttention } from '../../db/queries/mixpanel-connection.ts';
import type { IntegrationRow } from '../../db/tables.ts';
import type { SyncErrorCode } from '../../db/values.ts';
import { CohortSyncError, type ErrorCode } from '../errors.ts';
import type { SyncDeps } from './deps.ts';
import { RunFailure, RunPostponed } from './run-outcome.ts';
import { SourceError } from './sources/source.ts';

const CODES: Record<SyncErrorCode, ErrorCode | undefined> = {
  SOURCE_UNAVAILABLE: 'PARTNER_UNAVAILABLE',
  SOURCE_UNAUTHORIZED: 'INVALID_CREDENTIALS',
  SOURCE_INCOMPLETE: 'PARTNER_UNAVAILABLE',
  SOURCE_QUOTA_EXHAUSTED: 'RATE_LIMITED',
  COHORT_NOT_FOUND: 'INVALID_STATE',
  NO_MEMBER_HAS_IDENTITY: 'INVALID_STATE',
  DESTINATION_UNAVAILABLE: 'PARTNER_UNAVAILABLE',
  DESTINATION_UNAUTHORIZED: 'INVALID_CREDENTIALS',
  DESTINATION_LIST_GONE: 'PARTNER_UNAVAILABLE',
  INTEGRATION_DISCONNECTED: 'INTEGRATION_NOT_CONNECTED',
  INTERNAL: undefined,
};

/**
 * What would have failed a run, for the caller of a mutation. A refused key or service account is shown by its connection,
 * as after a run. Other errors pass unchanged.
 */
export async function explainPreviewError(
  deps: SyncDeps,
  integration: IntegrationRow,
  error: unknown,
): Promise<unknown> {
  if (error instanceof RunPostponed) {
    const retryAfterSeconds = Math.ceil(error.retryAfterMs / 1000);
    return new CohortSyncError(
      'RATE_LIMITED',
      `${error.message} Try again in ${retryAfterSeconds} seconds.`,
      {
        cause: error,
        extensions: { retryAfterSeconds },
      },
    );
  }
  if (!(error instanceof RunFailure || error instanceof SourceError)) return error;
  if (error.code === 'DESTINATION_UNAUTHORIZED') {
    await setIntegrationAttention(deps.db, integration, error.message);
  }
  if (error.code === 'SOURCE_UNAUTHORIZED') {
    await setMixpanelAttention(deps.db, integration.project_id, error.message);
  }
  const code = CODES[error.code];
  return code === undefined ? error : new CohortSyncError(code, error.message, { cause: error });
}
