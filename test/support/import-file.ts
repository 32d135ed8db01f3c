import type { ApiClient } from './api-client.ts';

export const IMPORT = `mutation ($input: ImportCohortInput!) { importCohort(input: $input) {
  id name source externalId memberCount present exportable } }`;

export interface ImportedCohort {
  id: string;
  name: string;
  externalId: string;
  memberCount: number;
}

/** Uploads a cohort; throws when it is refused. */
export async function importFile(
  api: ApiClient,
  name: string,
  content: string | Blob,
): Promise<ImportedCohort> {
  const { data, errors } = await api.upload(IMPORT, { input: { name } }, { name: 'people', content });
  if (errors) throw new Error(`The file was refused: ${JSON.stringify(errors)}`);
  return data.importCohort;
}

/** What is said of a file that is refused, a message for each fault. */
export async function faultsOf(api: ApiClient, name: string, content: string | Blob): Promise<string[]> {
  const { data, errors } = await api.upload(IMPORT, { input: { name } }, { name: 'people', content });
  if (data?.importCohort || errors?.length !== 1) throw new Error('The file was not refused with one error.');
  const { code, issues = [] } = errors[0]!.extensions;
  if (code !== 'BAD_USER_INPUT') throw new Error(`The code is ${code}.`);
  return issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}
