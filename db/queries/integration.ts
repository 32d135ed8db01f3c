import { sql } from 'kysely';
import { integrationColumns, rowAt } from '../columns.ts';
import { hotStatement } from '../hot-statement.ts';
import type { IntegrationRow, MixpanelConnectionRow } from '../tables.ts';
import type { Provider } from '../values.ts';
import { inProject, type ProjectScope } from './scope.ts';

const { all } = integrationColumns;
const byIds = hotStatement<{ projectId: string; ids: readonly string[] }>('integrations_by_id');

export async function findIntegrationsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<IntegrationRow[]> {
  const rows = await byIds.run(
    db,
    '',
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .integrations()
        .select([...all.names])
        .where('id', '=', sql<string>`any(${slot('ids')}::bigint[])`),
    { projectId, ids },
  );
  return rows.map((values) => rowAt(all, values, 0));
}

const everyOne = hotStatement<{ projectId: string }>('integrations', { isShared: true });

/** Every provider that the service knows, connected or not. */
export async function listIntegrations({ db, projectId }: ProjectScope): Promise<IntegrationRow[]> {
  const rows = await everyOne.run(
    db,
    '',
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .integrations()
        .select([...all.names])
        .orderBy('provider'),
    { projectId },
  );
  return rows.map((values) => rowAt(all, values, 0));
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
