import type { IntegrationRow, MixpanelConnectionRow } from '../tables.ts';
import type { Provider } from '../values.ts';
import { inProject, type ProjectScope } from './scope.ts';

export async function findIntegrationsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<IntegrationRow[]> {
  return inProject(db, projectId).integrations().selectAll().where('id', 'in', ids).execute();
}

/** Every provider that the service knows, connected or not. */
export async function listIntegrations({ db, projectId }: ProjectScope): Promise<IntegrationRow[]> {
  return inProject(db, projectId).integrations().selectAll().orderBy('provider').execute();
}

export async function findIntegrationOf(
  { db, projectId }: ProjectScope,
  provider: Provider,
): Promise<IntegrationRow> {
  return inProject(db, projectId)
    .integrations()
    .selectAll()
    .where('provider', '=', provider)
    .executeTakeFirstOrThrow();
}

export async function findMixpanelByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<MixpanelConnectionRow[]> {
  return inProject(db, projectId).mixpanelConnections().selectAll().where('id', 'in', ids).execute();
}

export async function findMixpanel({
  db,
  projectId,
}: ProjectScope): Promise<MixpanelConnectionRow | undefined> {
  return inProject(db, projectId).mixpanelConnections().selectAll().executeTakeFirst();
}
