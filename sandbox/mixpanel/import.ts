import type { ServerResponse } from 'node:http';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import { serveOperation } from '../serve-operation.ts';
import { findOwner } from './account.ts';
import { checkEvent, type EventFailure } from './check-event.ts';
import { findBadManners } from './import-manners.ts';
import { MAX_IMPORT_BYTES, type MixpanelProject } from './project.ts';
import { type Batch, MAX_EVENTS, readBatch } from './read-batch.ts';
import type { MixpanelContext } from './serve.ts';

/** A batch below cannot hold a record that is too large. */
const LARGE_BATCH_BYTES = 1_000_000;
const IDENTITY_EVENTS: readonly unknown[] = ['$identify', '$create_alias', '$merge'];

/** Answers as api.mixpanel.com: POST /import. */
export async function serveImport(
  context: MixpanelContext,
  region: MixpanelProject['region'],
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const { projects, calls, clock } = context;
  const isImport = request.method === 'POST' && request.path === '/import';
  const projectId = request.query.get('project_id');
  const addressed = projects.find((project) => project.region === region && project.id === projectId);
  const maxBytes = addressed?.settings.maxImportBytes ?? MAX_IMPORT_BYTES;
  const batch = await readBatch(request, maxBytes);
  await serveOperation(context, request, response, {
    name: isImport ? 'mixpanel.import' : 'mixpanel.unknown',
    details: 'records' in batch ? { events: batch.records.length } : {},
    answer() {
      if (!isImport) return refuse(404, 'Not Found', 'Not Found');
      if (projectId === null) {
        // As it comes, whoever asks is taken for a project's secret.
        return refuse(401, 'Unauthorized', 'Unauthorized, invalid project secret.');
      }
      const owner = findOwner(projects, region, request);
      if (!owner) return refuse(401, 'Unauthorized', 'Invalid credentials');
      const { project, account } = owner;
      if (project.id !== projectId) return refuse(403, 'Forbidden', 'Forbidden');
      if (!account.importAllowed || !project.settings.importAllowed) {
        return refuse(401, 'Unauthorized', 'Invalid credentials');
      }
      const isStrict = request.query.get('strict') === '1';
      for (const text of findBadManners(batch, isStrict)) calls.complain(text);
      return importBatch(project, batch, { isStrict, now: clock.now() });
    },
  });
}

function importBatch(
  project: MixpanelProject,
  batch: Batch,
  { isStrict, now }: { isStrict: boolean; now: number },
): SandboxReply {
  const { settings, imported } = project;
  if ('fault' in batch) {
    return batch.fault === 'too large'
      ? refuseSize(`${settings.maxImportBytes} bytes`)
      : refuse(400, 'Bad Request', 'unable to parse the request body');
  }
  const { records } = batch;
  if (records.length > MAX_EVENTS) return refuseSize(`${MAX_EVENTS} events`);
  if (settings.idMerge === 'SIMPLIFIED' && records.some(isIdentityEvent)) {
    return isStrict
      ? refuseRecords(0, [
          'identity events are not allowed when project is using simplified identity management',
        ])
      : accept(records.length);
  }
  const rules = { idMerge: settings.idMerge, now, mayBeLarge: batch.bytes >= LARGE_BATCH_BYTES };
  const failed: unknown[] = [];
  for (const [index, record] of records.entries()) {
    const checked = checkEvent(record, rules);
    const failure = 'failure' in checked ? checked.failure : refusalOf(project, checked.event);
    if (failure) {
      const { insertId, field, message } = failure;
      failed.push(
        settings.namesFailures
          ? {
              ...(settings.tellsIndex ? { index } : {}),
              [settings.insertIdSpelling]: insertId,
              field,
              message,
            }
          : message,
      );
    } else if ('event' in checked && !('$ignore' in checked.event.properties)) {
      // One with $ignore is accepted, and dropped.
      imported.add(checked.event);
    }
  }
  if (!isStrict) return accept(records.length);
  if (failed.length > 0) return refuseRecords(records.length - failed.length, failed);
  return accept(Math.max(0, records.length - settings.liesAbout));
}

function isIdentityEvent(record: unknown): boolean {
  return IDENTITY_EVENTS.includes((record as { event?: unknown } | null)?.event);
}

function refusalOf(
  { settings }: MixpanelProject,
  { event, insertId }: { event: string; insertId: string },
): EventFailure | undefined {
  const refusal = settings.refusedEvents.find(
    (one) => (one.insertId ?? insertId) === insertId && (one.event ?? event) === event,
  );
  return refusal && { insertId, field: 'event', message: refusal.message };
}

function accept(count: number): SandboxReply {
  return { status: 200, body: { code: 200, num_records_imported: count, status: 'OK' } };
}

function refuse(code: number, status: string, error: string): SandboxReply {
  return { status: code, body: { code, error, status } };
}

function refuseSize(limit: string): SandboxReply {
  return refuse(413, 'Request Entity Too Large', `request exceeds max limit of ${limit}`);
}

function refuseRecords(importedCount: number, failed: unknown[]): SandboxReply {
  return {
    status: 400,
    body: {
      code: 400,
      error: 'some data points in the request failed validation',
      status: 'Bad Request',
      num_records_imported: importedCount,
      failed_records: failed,
    },
  };
}
