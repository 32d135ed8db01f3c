import { setTimeout as wait } from 'node:timers/promises';
import type { Db } from '../../db/connect.ts';
import { findMixpanel } from '../../db/queries/integration.ts';
import {
  listImportableProjects,
  loadPendingEvents,
  lockMessaging,
  type PendingEvent,
  setImported,
  setRejected,
} from '../../db/queries/messaging-event.ts';
import {
  clearImportFailures,
  countImportFailures,
  lockConnection,
  putImportOff,
  setImportAttention,
  tryLockImport,
} from '../../db/queries/messaging-import.ts';
import type { MixpanelConnectionRow } from '../../db/tables.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { countUsage, type UsageChange } from './count-usage.ts';
import { type ImportOutcome, importBatch } from './import-batch.ts';
import { createImportClient } from './import-client.ts';
import { toImportRecord } from './import-record.ts';

/** Mixpanel takes this much in a request (API reference, import events). */
const MAX_EVENTS = 2_000;
const MAX_BYTES = 2_000_000;
const MAX_EVENT_BYTES = 1_000_000;
/** Loaded and made into JSON at a time, a few milliseconds of work; then webhooks find the processor free. */
const EVENTS_PER_QUERY = 100;
const PAUSE_MS = 40;
/** When a batch has not been the last. */
const HURRIED_PAUSE_MS = 5;

/** Each holds a connection to the database while Mixpanel is asked. */
const PROJECTS_AT_ONCE = 5;
/** Then other projects may have the place. */
const BATCHES_IN_TURN = 10;

const BASE_DELAY_MS = 2_000;
const MAX_DELAY_MS = 60_000;
const MAX_JITTER_MS = 5_000;
/** Whatever Mixpanel asks for. */
const LONGEST_DELAY_MS = 3_600_000;
/** Credentials that were refused may have been given their role meanwhile. */
const REFUSED_DELAY_MS = 900_000;

const TOO_LARGE = 'It is larger than 1 MB, which Mixpanel does not take.';

export interface Importer {
  /** Begins to import what waits, of every project that Mixpanel can be asked for now and that is not under way. */
  begin(): Promise<void>;
  /** Breaks off what is under way; it is sent again. */
  stop(): Promise<void>;
}

/**
 * Some projects at a time, each for some batches and then the next ones: one of which much comes, or whose Mixpanel is silent,
 * holds up nobody else. The events of a project are imported by one process at a time.
 */
export function createImporter(deps: SyncDeps): Importer {
  const stopping = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  /** The project that was begun last: the next ones come after it. */
  let last = '0';

  async function importProject(projectId: string) {
    try {
      for (let batch = 1; batch <= BATCHES_IN_TURN && !stopping.signal.aborted; batch++) {
        const pauseMs = batch === 1 ? PAUSE_MS : HURRIED_PAUSE_MS;
        if (!(await importSome(deps, projectId, { pauseMs, signal: stopping.signal }))) return;
      }
    } catch (error) {
      if (stopping.signal.aborted) return;
      deps.logger.warn({ err: error, projectId }, 'importing events failed');
      await putOff(deps, projectId, undefined).catch(() => undefined);
    }
  }

  return {
    async begin() {
      if (stopping.signal.aborted) return;
      const importable = await listImportableProjects(deps.db, deps.clock.now());
      const isAfter = (id: string) => BigInt(id) > BigInt(last);
      for (const projectId of [...importable.filter(isAfter), ...importable.filter((id) => !isAfter(id))]) {
        if (stopping.signal.aborted) return;
        if (underWay.has(projectId) || underWay.size >= PROJECTS_AT_ONCE) continue;
        last = projectId;
        underWay.set(
          projectId,
          importProject(projectId).finally(() => underWay.delete(projectId)),
        );
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all(underWay.values());
    },
  };
}

/**
 * One batch. True when there may be more. The transaction stays open while Mixpanel is asked, for its lock; when this process
 * dies meanwhile, the lock is gone with it and the batch is sent again, which Mixpanel knows by $insert_id.
 */
async function importSome(
  deps: SyncDeps,
  projectId: string,
  { pauseMs, signal }: { pauseMs: number; signal: AbortSignal },
): Promise<boolean> {
  return await deps.db.transaction().execute(async (trx) => {
    if (!(await tryLockImport(trx, projectId))) return false;
    const connection = await findMixpanel({ db: trx, projectId });
    if (!connection) return false;
    const batch = await loadBatch(deps, trx, connection, pauseMs);
    if (batch.events.length + batch.tooLarge.length === 0) return false;
    const client = createImportClient({
      baseUrl: deps.env.mixpanel.ingestionBaseUrl[connection.region],
      projectId: connection.mixpanel_project_id,
      username: connection.service_account_username,
      secret: deps.secrets.decrypt(connection.service_account_secret),
    });
    const outcome = await importBatch(client, batch.records, signal);
    const now = deps.clock.now();
    await settle(trx, { projectId, batch, outcome, now });
    return await noteOutcome({ ...deps, db: trx }, connection, outcome);
  });
}

/** What becomes of an event is counted by this; its data are no longer needed. */
type ImportedEvent = Omit<PendingEvent, 'data'>;

interface Batch {
  events: ImportedEvent[];
  records: string[];
  tooLarge: ImportedEvent[];
}

async function loadBatch(
  { env }: Pick<SyncDeps, 'env'>,
  trx: Db,
  connection: MixpanelConnectionRow,
  pauseMs: number,
): Promise<Batch> {
  const batch: Batch = { events: [], records: [], tooLarge: [] };
  const how = { source: env.mixpanel.sourceValue, idMerge: connection.id_merge };
  let bytes = 2;
  let after = '0';
  while (batch.events.length + batch.tooLarge.length < MAX_EVENTS) {
    const rest = MAX_EVENTS - batch.events.length - batch.tooLarge.length;
    const page = { after, events: Math.min(EVENTS_PER_QUERY, rest), bytes: MAX_BYTES };
    const pending = await loadPendingEvents(trx, connection.project_id, page);
    for (const { data, ...event } of pending) {
      const record = toImportRecord({ data, ...event }, how);
      const size = Buffer.byteLength(record) + 1;
      if (size > MAX_EVENT_BYTES) {
        batch.tooLarge.push(event);
        continue;
      }
      if (bytes + size > MAX_BYTES) return batch;
      bytes += size;
      batch.events.push(event);
      batch.records.push(record);
    }
    const last = pending.at(-1);
    if (!last) break;
    after = last.id;
    if (pending.length === page.events) await wait(pauseMs);
  }
  return batch;
}

async function settle(
  trx: Db,
  settled: { projectId: string; batch: Batch; outcome: ImportOutcome; now: Date },
): Promise<void> {
  const { projectId, batch, outcome, now } = settled;
  const imported = outcome.imported.map((index) => batch.events[index]!);
  const refused = [
    ...outcome.refused.map(({ index, detail }) => ({ event: batch.events[index]!, detail })),
    ...batch.tooLarge.map((event) => ({ event, detail: TOO_LARGE })),
  ];
  if (imported.length + refused.length === 0) return;
  await lockMessaging(trx, projectId);
  await setImported(
    trx,
    imported.map(({ id }) => id),
  );
  await setRejected(
    trx,
    refused.map(({ event, detail }) => ({ id: event.id, detail })),
  );
  const changes = [
    ...imported.map((event) => changeOf('IMPORTED', event)),
    ...refused.map(({ event }) => changeOf('REFUSED', event)),
  ];
  await countUsage(trx, projectId, { changes, now });
}

/** True when Mixpanel may be asked again at once. */
async function noteOutcome(
  deps: Pick<SyncDeps, 'db' | 'clock' | 'logger'>,
  { project_id: projectId, connected_at: connectedAt }: MixpanelConnectionRow,
  { stopped }: ImportOutcome,
): Promise<boolean> {
  // Who has connected meanwhile has other credentials: what was said of these is old.
  if (!(await lockConnection(deps.db, projectId, connectedAt))) return false;
  if (!stopped) {
    await clearImportFailures(deps.db, projectId);
    return true;
  }
  if (stopped.kind === 'REFUSED') {
    await setImportAttention(
      deps.db,
      projectId,
      `Events cannot be imported: ${stopped.message} See that the service account has the role Owner or Admin of the Mixpanel project, and that its plan is paid. Events wait meanwhile.`,
    );
  }
  deps.logger.warn({ projectId }, `events wait for Mixpanel: ${stopped.message}`);
  await putOff(deps, projectId, stopped);
  return false;
}

/** Undefined: for a reason of our own. */
async function putOff(
  { db, clock }: Pick<SyncDeps, 'db' | 'clock'>,
  projectId: string,
  stopped: ImportOutcome['stopped'],
): Promise<void> {
  const failures = await countImportFailures(db, projectId);
  const jitterMs = 1_000 + Math.random() * (MAX_JITTER_MS - 1_000);
  const backOffMs = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** failures) + jitterMs;
  const askedMs = stopped?.kind === 'BUSY' ? (stopped.retryAfterMs ?? 0) : 0;
  const delayMs =
    stopped?.kind === 'REFUSED' ? REFUSED_DELAY_MS : Math.max(backOffMs, Math.min(LONGEST_DELAY_MS, askedMs));
  const retryAt = new Date(clock.now().getTime() + delayMs);
  await putImportOff(db, projectId, { failures: failures + 1, retryAt });
}

function changeOf(what: 'IMPORTED' | 'REFUSED', event: ImportedEvent): UsageChange {
  const { at, distinct_id: distinctId, campaign_id: campaignId, campaign_name: campaignName } = event;
  return { what, event: event.event, at, distinctId, campaignId, campaignName };
}
