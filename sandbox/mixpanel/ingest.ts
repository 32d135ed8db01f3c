import type { ServerResponse } from 'node:http';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import { serveOperation } from '../serve-operation.ts';
import { findCaller } from './account.ts';
import { answerImport } from './import.ts';
import { answerOutcome, openBatch, refuse } from './ingest-answers.ts';
import type { MixpanelProject } from './project.ts';
import { type Batch, readBatch } from './read-batch.ts';
import type { MixpanelContext } from './serve.ts';
import { MAX_IMPORT_BYTES } from './settings.ts';
import { trackEvents } from './track.ts';
import { writeProfiles } from './write-profiles.ts';

const OPERATIONS: Record<string, 'import' | 'track' | 'writeProfiles' | 'writeGroups'> = {
  '/import': 'import',
  '/track': 'track',
  '/engage': 'writeProfiles',
  '/groups': 'writeGroups',
};

/** Answers as api.mixpanel.com: /import, /track, and the updates of profiles at /engage and /groups. */
export async function serveIngestion(
  context: MixpanelContext,
  region: MixpanelProject['region'],
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const projects = context.projects.filter((project) => project.region === region);
  const operation = ['GET', 'POST'].includes(request.method) ? OPERATIONS[request.path] : undefined;
  const addressed =
    projects.find((project) => project.id === request.query.get('project_id')) ??
    findCaller(projects, request, true)?.project;
  const batch = await readBatch(request, addressed?.settings.maxImportBytes ?? MAX_IMPORT_BYTES);
  await serveOperation(context, request, response, {
    name: `mixpanel.${operation ?? 'unknown'}`,
    details: operation && 'records' in batch ? { events: batch.records.length } : {},
    answer() {
      if (!operation) return refuse({ code: 404, error: 'Not Found', status: 'Not Found' });
      if (operation === 'import') return answerImport(context, projects, request, batch);
      return answerToken(context, projects, request, { operation, batch });
    },
  });
}

/** What goes by a token in each record. That one is of no project is not told. */
function answerToken(
  { calls, clock }: MixpanelContext,
  projects: readonly MixpanelProject[],
  request: SandboxRequest,
  { operation, batch }: { operation: 'track' | 'writeProfiles' | 'writeGroups'; batch: Batch },
): SandboxReply {
  const opened = openBatch(batch, MAX_IMPORT_BYTES);
  if ('error' in opened) {
    if (opened.code === 413) return refuse(opened);
    return answerOutcome(request, { good: 0, failed: [{ index: 0, field: '', message: opened.error }] });
  }
  const { records } = opened;
  const outcome =
    operation === 'track'
      ? trackEvents(projects, records, clock.now())
      : writeProfiles(projects, records, operation === 'writeGroups');
  if (outcome.lost > 0) calls.complain(`${operation} with a token of no project`);
  return answerOutcome(request, outcome);
}
