import { setTimeout as sleep } from 'node:timers/promises';
import { attack } from './siege/attacker-process.ts';
import { type Attack, attacks } from './siege/attacks.ts';
import { recovers, startInnocent } from './siege/innocent.ts';
import { leaveInTheMiddle } from './siege/leaving.ts';
import { openScene } from './siege/scene.ts';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { megabytes, printResults, type Result, seconds, tell } from './support/results.ts';

/**
 * One caller who means harm, in full size; one kind of harm after the other. The service has to live, and to answer
 * somebody else's /health within two seconds. One that did not live is started again on what it left behind.
 */
const MAX_HEALTH_MS = 2_000;
const SETTLE_MS = 3_000;
/** One that does not answer as before by then is given up. */
const RECOVERY_MS = 30_000;
/** A service that dies of what it finds at its start does so by then. */
const RESTART_MS = 15_000;
const options = readOptions();

await using started = new AsyncDisposableStack();
const stopping = <Thing extends { stop(): Promise<void> }>(thing: Thing) =>
  started.adopt(thing, (one) => one.stop());

const partners = stopping(await startPartners({ members: 100 }));
const postgres = stopping(await startPostgres(options.databaseUrl));
let scene = stopping(await openScene(postgres, partners));

const leaving: Attack = {
  title: 'callers who leave a slow query',
  run: (target) => leaveInTheMiddle(target, scene.database),
  mustNotBeTold: /still there|nothing was slow/,
};
const all: Record<string, Attack> = { ...attacks, leaving };
const unknown = options.attacks.filter((name) => !(name in all));
if (unknown.length > 0) {
  throw new Error(`There is no attack ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}.`);
}

for (const [name, one] of Object.entries(all)) {
  if (options.attacks.length > 0 && !options.attacks.includes(name)) continue;
  tell(one.title);
  printResults(`One caller who means harm: ${one.title} (${name})`, await suffer(name, one));
}

async function suffer(name: string, { run, mustNotBeTold }: Attack): Promise<Result[]> {
  const { service } = scene;
  service.forgetPeakMemory();
  const caller = { url: service.url, token: scene.innocentToken };
  const innocent = startInnocent(caller);
  await sleep(1_000);
  const told = name in attacks ? await attack(name, scene.target) : await run(scene.target);
  // What it has begun may go on, and be the end of it, after the attacker has gone.
  await sleep(SETTLE_MS);
  const { health, dashboard, failures } = await innocent.stop();
  const isWell = !service.hasEnded() && (await recovers(caller, RECOVERY_MS));
  const hasDied = service.hasEnded();
  const peakMemory = hasDied ? 'unknown' : megabytes(service.peakMemory());
  const end = isWell
    ? 'lives'
    : `${hasDied ? 'DIED' : 'HANGS'}${(await restartLives()) ? '' : ', and again at its next start'}`;
  return [
    { what: 'the service', measured: end, target: 'lives', isMet: end === 'lives' },
    {
      what: 'somebody else: /health, longest',
      measured: seconds(health / 1000),
      target: `≤ ${seconds(MAX_HEALTH_MS / 1000)}`,
      isMet: health <= MAX_HEALTH_MS,
    },
    { what: '  dashboard, longest', measured: seconds(dashboard / 1000) },
    ...Object.entries(failures).map(([what, times]) => ({
      what: `  ${what}`,
      measured: `${times} ×`,
      target: 'none',
      isMet: false,
    })),
    { what: 'peak memory of the service', measured: peakMemory },
    ...Object.entries(told).map(([what, times]) => ({
      what: `the attacker was told: ${what}`,
      measured: `${times} ×`,
      ...(mustNotBeTold?.test(what) ? { target: 'never', isMet: times === 0 } : {}),
    })),
  ];
}

/** Whether the service lives after a start on the same rows. What is attacked further has rows of its own. */
async function restartLives(): Promise<boolean> {
  let lives = false;
  try {
    await scene.stop();
    await scene.restart();
    await sleep(RESTART_MS);
    lives = !scene.service.hasEnded();
  } catch {
    // It ended before it was up.
  }
  await scene.stop();
  scene = stopping(await openScene(postgres, partners));
  return lives;
}
