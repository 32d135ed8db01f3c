import {
  type DueExport,
  listDueExports,
  lockDueExports,
  setNextScheduled,
} from '../../db/queries/due-export.ts';
import { updateExport } from '../../db/queries/export-state.ts';
import type { MixpanelProject } from '../../db/queries/mixpanel-line.ts';
import type { SyncDeps } from './deps.ts';
import { nextDueAt } from './grid.ts';
import { type QuerySchedule, readQuerySchedule } from './query-schedule.ts';
import { queueRun } from './queue-run.ts';
import type { DueRun } from './spread-runs.ts';

/** Due exports that one beat turns into runs in one transaction; the rest waits for the next beat, a second later. */
const EXPORTS_PER_BEAT = 200;

/** turn: of an export that takes turns with the others of its Mixpanel project. */
type DueNow = DueExport & { turn: DueRun | undefined };

/**
 * Turns due exports into queued runs and moves them on to their next time. Any number of processes may call it at
 * once: each due export is dealt with by one of them. Missed times are made up for once. Gives how many were due.
 */
export async function queueDueRuns(deps: SyncDeps): Promise<number> {
  const now = deps.clock.now();
  const dueNow = (await listDueNow(deps, now)).slice(0, EXPORTS_PER_BEAT);
  if (dueNow.length === 0) return 0;
  return await deps.db.transaction().execute(async (trx) => {
    // Before the exports, as everything of a connection.
    for (const [project, nextAt] of lastTurns(dueNow)) await setNextScheduled(trx, project, nextAt);
    const ids = dueNow.map((exported) => exported.id);
    const locked = await lockDueExports(trx, ids, now);
    const due = dueNow.filter((exported) => locked.has(exported.id));
    for (const exported of due) {
      await updateExport(trx, exported.id, { nextRunAt: nextWish(deps, exported, now) });
      // A run that is still going is not joined by a second one.
      await queueRun(
        { ...deps, db: trx },
        { exportId: exported.id, projectId: exported.project_id, trigger: 'SCHEDULED' },
      );
    }
    return due.length;
  });
}

/** Exports whose grid says so and, of those that take turns, the ones whose turn it is. */
async function listDueNow(deps: SyncDeps, now: Date): Promise<DueNow[]> {
  const schedules = new Map<string, QuerySchedule>();
  const dueNow: DueNow[] = [];
  for (const exported of await listDueExports(deps.db, now)) {
    const schedule = exported.mixpanel && (await scheduleOf(exported.mixpanel));
    const turn = schedule?.due.get(exported.id);
    const isDue = schedule?.delay ? turn !== undefined && turn.at <= now : true;
    if (isDue) dueNow.push({ ...exported, turn });
  }
  return dueNow;

  async function scheduleOf(project: MixpanelProject): Promise<QuerySchedule> {
    const schedule = schedules.get(keyOf(project)) ?? (await readQuerySchedule(deps, project));
    schedules.set(keyOf(project), schedule);
    return schedule;
  }
}

/** By project, in an order that is the same for every process, when the turn after the last one of now comes. */
function lastTurns(dueNow: DueNow[]): [MixpanelProject, Date][] {
  const last = new Map<string, [MixpanelProject, Date]>();
  for (const { mixpanel, turn } of dueNow) {
    if (!mixpanel || !turn) continue;
    const before = last.get(keyOf(mixpanel));
    if (!before || before[1] < turn.nextAt) last.set(keyOf(mixpanel), [mixpanel, turn.nextAt]);
  }
  return [...last.keys()].toSorted().map((key) => last.get(key)!);
}

function keyOf({ region, mixpanel_project_id }: MixpanelProject): string {
  return `${region}:${mixpanel_project_id}`;
}

/** One interval after its turn, so that those who take turns keep their order; otherwise the grid. */
function nextWish({ env }: SyncDeps, { created_at, turn }: DueNow, now: Date): Date {
  if (turn) return new Date(turn.at.getTime() + env.dynamicSyncIntervalMs);
  return nextDueAt(created_at, now, env.dynamicSyncIntervalMs);
}
