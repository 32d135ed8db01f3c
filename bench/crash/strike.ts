import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../../sandbox/random.ts';
import type { ClusterNode } from './cluster.ts';
import type { RunRow, Scene } from './scene.ts';

/** What a run may be doing when something is struck, in this order. */
export const PHASES = ['READING', 'PLANNING', 'REMOVING', 'ADDING', 'FINISHING'] as const;
type Phase = (typeof PHASES)[number];

/** How often each is drawn. */
const VICTIMS = {
  'the worker with the run': 12,
  'another worker': 1,
  'all workers': 2,
  'gateway and scheduler': 1,
  PostgreSQL: 2,
  'all connections to PostgreSQL': 2,
};
type Victim = keyof typeof VICTIMS;

const POLL_MS = 10;
/** When nobody goes on for so long, nobody will. */
const GIVE_UP_MS = 120_000;

export interface Strike {
  victim: Victim;
  /** As the run's row told it at that moment. */
  phase: string;
  at: number;
  /** Until somebody went on with the run; undefined when nobody had to. */
  pauseMs?: number;
}

/** Strikes a run that is under way up to so many times, at random moments. Gives what it came to. */
export async function strikeRun(
  scene: Scene,
  options: { random: Random; count: number; onStrike: (strike: Strike) => void },
): Promise<Strike[]> {
  const { random, count } = options;
  const strikes: Strike[] = [];
  const phases = drawPhases(random, count);
  for (const [index, phase] of phases.entries()) {
    const run = await untilPhase(scene, phase);
    const left = phases.slice(index).filter((other) => other === phase).length;
    await wait(random() * (await spanOf(scene, phase, run)) * (1 / left));
    const strike = await performStrike(scene, drawVictim(random));
    if (strike === undefined) break;
    strikes.push(strike);
    options.onStrike(strike);
  }
  return strikes;
}

function drawPhases(random: Random, count: number): Phase[] {
  const start = Math.floor(random() * PHASES.length);
  return Array.from({ length: count }, (_, index) => PHASES[(start + index) % PHASES.length]!).sort(
    (left, right) => PHASES.indexOf(left) - PHASES.indexOf(right),
  );
}

function drawVictim(random: Random): Victim {
  const lots = Object.entries(VICTIMS).flatMap(([victim, times]) =>
    Array<Victim>(times).fill(victim as Victim),
  );
  return lots[Math.floor(random() * lots.length)]!;
}

/** Also a later one, and the end; not one that a worker has left behind which was struck. */
async function untilPhase(scene: Scene, phase: Phase): Promise<RunRow> {
  const rank = (name: string) => [...PHASES, 'DONE'].indexOf(name);
  return await scene.untilRun(
    (run) => run.isOver || (run.isWrittenByAttempt && rank(run.phase) >= rank(phase)),
    GIVE_UP_MS,
  );
}

/** How long the phase may last, in milliseconds. */
async function spanOf(scene: Scene, phase: Phase, run: RunRow): Promise<number> {
  if (phase === 'READING') return scene.readMs;
  if (phase === 'PLANNING') return scene.planMs;
  if (phase === 'FINISHING') return 100;
  return (await scene.countOpen(run, phase === 'REMOVING' ? 'REMOVE' : 'ADD')) * scene.batchMs;
}

/** Undefined when the run is over before. */
async function performStrike(scene: Scene, victim: Victim): Promise<Strike | undefined> {
  const { cluster, postgres } = scene;
  const found = await untilExecutor(scene);
  if (found === undefined) return undefined;
  const { run, executor } = found;
  const strike: Strike = { victim, phase: run.phase, at: Date.now() };
  const killAll = (nodes: readonly ClusterNode[]) => {
    for (const node of nodes) cluster.kill(node);
  };
  if (victim === 'gateway and scheduler') {
    cluster.kill(cluster.gateway);
    return strike;
  }
  if (victim === 'another worker') {
    cluster.kill(cluster.workers.find((node) => node !== executor)!);
    return strike;
  }
  if (victim === 'the worker with the run') killAll([executor]);
  else if (victim === 'all workers') {
    killAll(cluster.workers);
    // Whoever goes on has to be there first.
    await Promise.any(cluster.workers.map(({ service }) => service.up()));
  } else if (victim === 'PostgreSQL') await postgres.crash();
  else await postgres.breakConnections();
  const from = victim === 'the worker with the run' ? strike.at : Date.now();
  const isKill = victim === 'the worker with the run' || victim === 'all workers';
  // A worker that lives may go on with the run as if nothing had been; of a dead one only another can.
  const before = isKill ? run : await scene.readRun();
  await scene.untilRun(
    (now) => now.isOver || (isKill ? now.attempt > run.attempt : now.revision > before.revision),
    GIVE_UP_MS,
  );
  return { ...strike, pauseMs: Date.now() - from };
}

/** Who has the run now: the log tells it a little later than the row. Undefined when it is over. */
async function untilExecutor(scene: Scene): Promise<{ run: RunRow; executor: ClusterNode } | undefined> {
  for (;;) {
    const run = await scene.readRun();
    if (run.isOver) return undefined;
    const executor = scene.cluster.executor(run.id, run.attempt);
    if (executor) return { run, executor };
    await wait(POLL_MS);
  }
}
