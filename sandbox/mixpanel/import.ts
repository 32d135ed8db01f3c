import type { SandboxReply, SandboxRequest } from '../http.ts';
import { type Caller, findByKey, findCaller } from './account.ts';
import { checkEvent, type EventFailure } from './check-event.ts';
import { fillIn, isIdentityEvent } from './fill-in.ts';
import { findBadManners } from './import-manners.ts';
import { accept, answerOutcome, openBatch, type Refusal, refuse, refuseRecords } from './ingest-answers.ts';
import type { MixpanelProject } from './project.ts';
import type { Batch, Records } from './read-batch.ts';
import type { MixpanelContext } from './serve.ts';

/** A batch below cannot hold a record that is too large. */
const LARGE_BATCH_BYTES = 1_000_000;

/** POST /import, and GET as clients from before there was JSON in bodies send it. */
export function answerImport(
  { calls, clock }: MixpanelContext,
  projects: readonly MixpanelProject[],
  request: SandboxRequest,
  batch: Batch,
): SandboxReply {
  const caller = findImporter(projects, request);
  if ('status' in caller) return caller;
  const isStrict = request.query.get('strict') === '1';
  for (const text of findBadManners(batch, isStrict)) calls.complain(text);
  const { project } = caller;
  const opened = openBatch(batch, project.settings.maxImportBytes);
  if ('error' in opened) return refuse(opened);
  const { good, failed } = importRecords(project, opened, { isStrict, now: clock.now() });
  if (isStrict) {
    return failed.length > 0
      ? refuseRecords(good, failed)
      : accept(Math.max(0, good - project.settings.liesAbout));
  }
  return opened.isParameter ? answerOutcome(request, { good, failed: [] }) : accept(opened.records.length);
}

/** A service account with the id of its project, or the project's own secret, token or key. */
function findImporter(projects: readonly MixpanelProject[], request: SandboxRequest): Caller | SandboxReply {
  const projectId = request.query.get('project_id');
  const caller = findCaller(projects, request, true) ?? findByKey(projects, request.query.get('api_key'));
  if (projectId === null && (!caller || caller.account)) {
    // As it comes, whoever asks is taken for a project's secret.
    return refuse(unauthorized('Unauthorized, invalid project secret.'));
  }
  if (!caller) return refuse(unauthorized('Invalid credentials'));
  const { project, account } = caller;
  if (projectId !== null && project.id !== projectId)
    return refuse({ code: 403, error: 'Forbidden', status: 'Forbidden' });
  const isAllowed = project.settings.importAllowed && account?.importAllowed !== false;
  return isAllowed ? caller : refuse(unauthorized('Invalid credentials'));
}

function unauthorized(error: string): Refusal {
  return { code: 401, error, status: 'Unauthorized' };
}

function importRecords(
  project: MixpanelProject,
  { records, bytes }: Records,
  { isStrict, now }: { isStrict: boolean; now: number },
): { good: number; failed: unknown[] } {
  const { settings, imported } = project;
  if (settings.idMerge === 'SIMPLIFIED' && records.some(isIdentityEvent)) {
    const message = 'identity events are not allowed when project is using simplified identity management';
    return { good: 0, failed: [message] };
  }
  const rules = { idMerge: settings.idMerge, now, mayBeLarge: bytes >= LARGE_BATCH_BYTES };
  const failed: unknown[] = [];
  for (const [index, record] of records.entries()) {
    const checked = checkEvent(isStrict ? record : fillIn(record), rules);
    const failure = 'failure' in checked ? checked.failure : refusalOf(project, checked.event);
    if (failure) failed.push(toFailedRecord(project, index, failure));
    // One with $ignore is accepted, and dropped.
    else if ('event' in checked && !('$ignore' in checked.event.properties)) imported.add(checked.event);
  }
  return { good: records.length - failed.length, failed };
}

function toFailedRecord({ settings }: MixpanelProject, index: number, failure: EventFailure): unknown {
  const { insertId, field, message } = failure;
  if (!settings.namesFailures) return message;
  return { ...(settings.tellsIndex ? { index } : {}), [settings.insertIdSpelling]: insertId, field, message };
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
