import type { Logger } from 'pino';
import type { Db } from '../../db/connect.ts';
import { startListener } from '../../db/listen.ts';
import { findExportsByIds, listExports } from '../../db/queries/export.ts';
import { findIntegrationsByIds, listIntegrations } from '../../db/queries/integration.ts';
import { loadUsage, type UsageRows } from '../../db/queries/messaging-usage.ts';
import { findRunsByIds, listRuns } from '../../db/queries/sync-run.ts';
import type { ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import { createSharedLookup } from '../shared-lookup.ts';
import { type Broadcast, createBroadcast } from './broadcast.ts';
import type { Kind, Pushed } from './mailbox.ts';
import { createRemembered, type Remembered } from './remembered.ts';
import { snapshotInterval, USAGE_INTERVAL_MS } from './snapshot-interval.ts';

/** What some watch, and how it is read for those who begin to. */
interface Topic extends Broadcast<never> {
  load: () => Promise<unknown[]>;
}

const RUNS: Kind<SyncRunRow> = {
  keyOf: (run) => run.id,
  isNews: (run, before) => run.revision > before.revision,
  minIntervalMs: 0,
};

/** Of one run. */
const RUN: Kind<SyncRunRow> = { ...RUNS, isLast: (run) => run.finished_at !== null };

const EXPORTS: Kind<ExportRow> = {
  keyOf: (exported) => String(exported.id),
  // Its last run may have changed and it itself not.
  isNews: (exported, before) => exported.revision >= before.revision,
  minIntervalMs: 0,
};

const INTEGRATIONS: Kind<IntegrationRow> = {
  keyOf: (integration) => integration.id,
  isNews: (integration, before) => integration.revision > before.revision,
  minIntervalMs: 0,
};

const USAGES: Kind<{ month: string; rows: UsageRows }> = {
  keyOf: (usage) => usage.month,
  isNews: (usage, before) => revisionOf(usage.rows) > revisionOf(before.rows),
  minIntervalMs: USAGE_INTERVAL_MS,
};

/**
 * Changes of runs, exports and integrations, in whatever process they were made. A notification makes this process read
 * the row once, however many watch it. Every stream begins with what is there now; none delivers an older snapshot
 * after a newer one; streams end when they are returned or when live stops.
 */
export interface Live extends Pick<Remembered, 'remember' | 'forget'> {
  /** Ends when the run is over. The caller has looked the run up in the project. */
  watchRun(projectId: string, runId: string): Pushed<SyncRunRow>;
  watchRuns(projectId: string, exportId?: number): Pushed<SyncRunRow>;
  watchExports(projectId: string, exportId?: number): Pushed<ExportRow>;
  watchIntegrations(projectId: string): Pushed<IntegrationRow>;
  watchUsage(projectId: string, month: string): Pushed<{ month: string; rows: UsageRows }>;
  /** False while the connection that hears of changes is broken. */
  isHearing(): boolean;
  /** Told of tokens that were revoked. */
  onTokenRevoked(tell: (tokenId: string) => void): void;
  /** Told each time that something may have gone unheard: at the first connect, and after each break. */
  onGap(tell: () => void): void;
  stop(): Promise<void>;
}

export function startLive(options: { db: Db; databaseUrl: string; logger: Logger }): Live {
  const { db, logger } = options;
  const topics = new Map<string, Topic>();
  /** How many topics of a project are watched. */
  const topicsOfProject = new Map<string, number>();
  /** A thousand who begin to watch the same thing at once are shown the same row. */
  const loadTopic = createSharedLookup((topic) => topics.get(topic)?.load() ?? Promise.resolve([]));
  const revocationListeners: ((tokenId: string) => void)[] = [];
  const gapListeners: (() => void)[] = [];
  const readings = new Map<string, { timer: NodeJS.Timeout | undefined; isDue: boolean }>();
  const lastStatus = new Map<string, string>();
  const remembered = createRemembered();
  let isStopped = false;
  let isHearing = false;

  const listener = startListener({
    url: options.databaseUrl,
    onNotification: hear,
    onConnect: () => {
      remembered.setHearing(true);
      isHearing = true;
      refreshAll();
      for (const tell of gapListeners) tell();
    },
    onError: (error) => {
      remembered.setHearing(false);
      isHearing = false;
      logger.warn({ err: error }, 'the connection that hears of changes broke; connecting again');
    },
  });

  function hear(payload: string) {
    if (isStopped) return;
    const [noun, projectId, id] = payload.split(':');
    if (!noun || !projectId || !id) return;
    remembered.forget(projectId);
    if (noun === 'token') for (const tell of revocationListeners) tell(id);
    else if (isWatched(noun, projectId, id)) {
      readSoon(payload, snapshotInterval(noun, topics.get(payload)?.watchers.size ?? 0), () =>
        readAgain(noun, projectId, id),
      );
    }
  }

  function isWatched(noun: string, projectId: string, id: string): boolean {
    return topics.has(`${noun}:${projectId}`) || topics.has(`${noun}:${projectId}:${id}`) || noun === 'run';
  }

  /** At once, and then again, an interval after it was begun, if it was asked for meanwhile. */
  function readSoon(key: string, intervalMs: number, read: () => Promise<void>) {
    const known = readings.get(key);
    if (known) {
      known.isDue = true;
      return;
    }
    const reading = { timer: undefined as NodeJS.Timeout | undefined, isDue: false };
    readings.set(key, reading);
    const readOnce = () => {
      reading.isDue = false;
      const begunAt = performance.now();
      read()
        .catch((error) => {
          if (!isStopped) logger.warn({ err: error }, 'a change could not be read');
        })
        .finally(() => {
          reading.timer = setTimeout(
            () => {
              if (reading.isDue && !isStopped) readOnce();
              else readings.delete(key);
            },
            Math.max(0, begunAt + intervalMs - performance.now()),
          );
        });
    };
    readOnce();
  }

  async function readAgain(noun: string, projectId: string, id: string) {
    const scope = { db, projectId };
    if (noun === 'run') {
      if (!topicsOfProject.has(projectId)) return;
      const [run] = await findRunsByIds(scope, [id]);
      if (!run) return;
      tell([`run:${projectId}:${id}`, `run:${projectId}`, `export-runs:${projectId}:${run.export_id}`], run);
      // An export shows its last run, so it is news when that begins or ends.
      if (lastStatus.get(id) !== run.status) {
        lastStatus.set(id, run.status);
        if (run.finished_at !== null) lastStatus.delete(id);
        await readAgain('export', projectId, String(run.export_id));
      }
    } else if (noun === 'export') {
      const [exported] = await findExportsByIds(scope, [Number(id)]);
      if (exported) tell([`export:${projectId}:${id}`, `export:${projectId}`], exported);
    } else if (noun === 'integration') {
      const [integration] = await findIntegrationsByIds(scope, [id]);
      if (integration) tell([`integration:${projectId}`], integration);
    } else if (noun === 'usage') {
      tell([`usage:${projectId}:${id}`], { month: id, rows: await loadUsage(scope, id) });
    }
  }

  /** Tells all who watch one of the topics. */
  function tell(names: string[], snapshot: unknown) {
    for (const name of names) topics.get(name)?.tell(snapshot as never);
  }

  /** After a gap in what was heard, every watcher is shown what is there now. */
  function refreshAll() {
    for (const name of topics.keys()) {
      loadTopic(name)
        .then((rows) => {
          for (const row of rows) tell([name], row);
        })
        .catch((error) => logger.warn({ err: error }, 'watchers could not be refreshed'));
    }
  }

  function openTopic<T>(name: string, kind: Kind<T>, load: () => Promise<T[]>): Broadcast<T> {
    const known = topics.get(name);
    if (known) return known as unknown as Broadcast<T>;
    const opened = createBroadcast<T>(kind, () => closeTopic(name));
    topics.set(name, { ...(opened as unknown as Broadcast<never>), load });
    const project = projectOf(name);
    topicsOfProject.set(project, (topicsOfProject.get(project) ?? 0) + 1);
    return opened;
  }

  function closeTopic(name: string): void {
    topics.delete(name);
    const project = projectOf(name);
    const rest = topicsOfProject.get(project)! - 1;
    if (rest === 0) topicsOfProject.delete(project);
    else topicsOfProject.set(project, rest);
  }

  /** Registers first and reads afterwards, so that no change falls between the two. */
  function watch<T>(name: string, kind: Kind<T>, load: () => Promise<T[]>): Pushed<T> {
    const mailbox = openTopic(name, kind, load).watch();
    const showWhatIsThere = async () => {
      for (const row of (await loadTopic(name)) as T[]) mailbox.put(row);
    };
    mailbox.beginWith(showWhatIsThere());
    return mailbox;
  }

  return {
    watchRun: (projectId, runId) =>
      watch(`run:${projectId}:${runId}`, RUN, () => findRunsByIds({ db, projectId }, [runId])),
    watchRuns: (projectId, exportId) =>
      watch(exportId === undefined ? `run:${projectId}` : `export-runs:${projectId}:${exportId}`, RUNS, () =>
        listRuns({ db, projectId }, { exportId }, { limit: 1, after: undefined }),
      ),
    watchExports: (projectId, exportId) =>
      watch(
        exportId === undefined ? `export:${projectId}` : `export:${projectId}:${exportId}`,
        EXPORTS,
        () =>
          exportId === undefined
            ? listExports({ db, projectId }, {}, { limit: 1, after: undefined })
            : findExportsByIds({ db, projectId }, [exportId]),
      ),
    watchIntegrations: (projectId) =>
      watch(`integration:${projectId}`, INTEGRATIONS, () => listIntegrations({ db, projectId })),
    watchUsage: (projectId, month) =>
      watch(`usage:${projectId}:${month}`, USAGES, async () => [
        { month, rows: await loadUsage({ db, projectId }, month) },
      ]),
    remember: remembered.remember,
    forget: remembered.forget,
    isHearing: () => isHearing,
    onTokenRevoked: (tell) => void revocationListeners.push(tell),
    onGap: (tell) => void gapListeners.push(tell),
    async stop() {
      isStopped = true;
      remembered.setHearing(false);
      for (const reading of readings.values()) clearTimeout(reading.timer);
      for (const { watchers } of [...topics.values()]) for (const mailbox of [...watchers]) mailbox.finish();
      await listener.stop();
    },
  };
}

/** Of "noun:project" and "noun:project:id". */
function projectOf(topic: string): string {
  return topic.split(':')[1]!;
}

/** Nothing has come yet in a month without a row. */
function revisionOf({ month }: UsageRows): number {
  return month?.revision ?? -1;
}
