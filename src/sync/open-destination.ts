import type { IntegrationRow } from '../../db/tables.ts';
import type { SyncDeps } from './deps.ts';
import { createDestination, type Destination, type DestinationOptions } from './destination.ts';
import { createIterableClient } from './iterable/client.ts';
import { RunFailure } from './run-outcome.ts';

/** The Iterable project of an integration. Throws RunFailure INTEGRATION_DISCONNECTED. */
export function openDestination(
  deps: SyncDeps,
  integration: IntegrationRow,
  options: Pick<DestinationOptions, 'retryBudgetMs' | 'halt' | 'seat' | 'onRequest' | 'waitFor'>,
): Destination {
  const { iterable } = deps.env;
  if (integration.api_key === null || integration.data_center === null) {
    throw new RunFailure('INTEGRATION_DISCONNECTED', 'Iterable is not connected any more.', {
      retryable: false,
    });
  }
  return createDestination({
    client: createIterableClient({
      baseUrl: iterable.baseUrl[integration.data_center],
      apiKey: deps.secrets.decrypt(integration.api_key),
    }),
    lineOf: (kind) => deps.iterableTurns(integration, kind),
    ...options,
  });
}
