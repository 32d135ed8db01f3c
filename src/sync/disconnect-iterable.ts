import { findActiveRun } from '../../db/queries/active-run.ts';
import { stopExports } from '../../db/queries/export-state.ts';
import { clearIntegration } from '../../db/queries/integration-state.ts';
import { requestCancel } from '../../db/queries/run-state.ts';
import type { IntegrationRow } from '../../db/tables.ts';
import type { SyncDeps } from './deps.ts';

/**
 * Forgets the key and stops the exports: queued runs are cancelled, a running one ends between two batches, a held one
 * at once. Lists in Iterable stay as they are. Disconnected already: nothing happens.
 */
export async function disconnectIterable(
  deps: SyncDeps,
  integration: IntegrationRow,
  actor: string,
): Promise<IntegrationRow> {
  return await deps.db.transaction().execute(async (trx) => {
    const cleared = await clearIntegration(trx, integration.id);
    for (const exportId of await stopExports(trx, integration.id)) {
      const active = await findActiveRun(trx, exportId);
      if (!active) continue;
      await requestCancel(trx, active.id, {
        now: deps.clock.now(),
        by: actor,
        cause: 'DISCONNECT',
        heldError: {
          code: 'INTEGRATION_DISCONNECTED',
          message: 'Iterable was disconnected while the removals of the run waited for approval.',
          retryable: false,
        },
      });
    }
    return cleared;
  });
}
