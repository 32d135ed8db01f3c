import { createRandom } from '../sandbox/random.ts';
import type { Expected } from './crash/cohort.ts';
import { type Comparison, compareRun } from './crash/compare.ts';
import { openScene, type Scene } from './crash/scene.ts';
import { PHASES, type Strike, strikeRun } from './crash/strike.ts';
import { readOptions } from './support/options.ts';
import { people, printResults, seconds, tell } from './support/results.ts';

/**
 * Measures nothing but the pause after a strike: processes are killed, the database too, at random moments of runs, and
 * after each run list, counts, ledger, journal and requests are compared with what they must be. Exits 1 on any difference.
 */
const PATIENCE_SECONDS = 30;
const STRIKES_A_RUN = 10;
/** A run that is over before it was struck so often leaves the rest to the next. */
const MAX_RUNS = 20;
const RUN_PATIENCE_MS = 600_000;

const options = readOptions();
const members = options.members ?? 100_000;
const wanted = options.kills ?? 50;
const seed = options.seed ?? Date.now() % 1_000_000;
const random = createRandom(seed);
tell(`--seed ${seed} draws the same victims and moments again`);

const strikes: Strike[] = [];
const comparisons: Comparison[] = [];
{
  await using scene = await openScene(members);
  let before: Expected['list'] = new Map();
  let generation = 0;
  for (; strikes.length < wanted && generation < MAX_RUNS; generation++) {
    const count = Math.min(STRIKES_A_RUN, wanted - strikes.length);
    before = await runOnce(scene, generation, before, count);
  }
  // Nobody disturbs the last one, which finds everything as the others have left it.
  await runOnce(scene, generation, before, 0);
}

const faults = comparisons.flatMap((comparison) => comparison.faults);
const longest = Math.max(0, ...strikes.map(({ pauseMs = 0 }) => pauseMs)) / 1000;
const sum = (name: 'sent' | 'sentAgain') => comparisons.reduce((total, one) => total + one[name], 0);
const victims = [...new Set(strikes.map(({ victim }) => victim))];
const count = (name: 'victim' | 'phase', value: string) =>
  String(strikes.filter((strike) => strike[name] === value).length);
printResults(`Crashes: ${people(members)}, --seed ${seed}`, [
  { what: 'strikes', measured: String(strikes.length), target: `${wanted}`, isMet: strikes.length >= wanted },
  ...victims.map((victim) => ({ what: `  against ${victim}`, measured: count('victim', victim) })),
  ...PHASES.map((phase) => ({ what: `  while ${phase}`, measured: count('phase', phase) })),
  { what: 'runs', measured: String(comparisons.length) },
  { what: 'batches sent', measured: String(sum('sent')) },
  { what: 'batches sent again', measured: String(sum('sentAgain')) },
  {
    what: 'longest pause after a strike',
    measured: seconds(longest),
    target: `≤ ${PATIENCE_SECONDS} s`,
    isMet: longest <= PATIENCE_SECONDS,
  },
  { what: 'differences', measured: String(faults.length), target: '0', isMet: faults.length === 0 },
]);
if (faults.length > 0 || longest > PATIENCE_SECONDS || strikes.length < wanted) process.exitCode = 1;

/** Exports the cohort as it is in a generation, struck so many times. Gives who is on the list now. */
async function runOnce(
  scene: Scene,
  generation: number,
  before: Expected['list'],
  strikeCount: number,
): Promise<Expected['list']> {
  const { sandbox, mixpanel, cluster, cohort } = scene;
  const expected = cohort.expect(generation, before);
  mixpanel.setMembers(cohort.externalId, cohort.members(generation));
  sandbox.calls.clear();
  const begun = performance.now();
  const { startSync } = await cluster.query(
    'mutation ($input: StartSyncInput!) { startSync(input: $input) { id } }',
    { input: { cohortId: cohort.id, syncType: 'ONE_TIME' } },
  );
  const struck = await strikeRun(scene, {
    random,
    count: strikeCount,
    onStrike: ({ victim, phase, pauseMs }) =>
      tell(
        `${phase}: ${victim}${pauseMs === undefined ? '' : `, ${seconds(pauseMs / 1000)} until it went on`}`,
      ),
  });
  await scene.untilRun((run) => run.isOver, RUN_PATIENCE_MS);
  const taken = (performance.now() - begun) / 1000;
  const struckAt = struck.flatMap(({ at, pauseMs }) => (pauseMs === undefined ? [] : at));
  const comparison = await compareRun(scene, startSync.id, expected, struckAt);
  const { added, removed, unchanged, rejected } = expected.counts;
  tell(
    `run ${generation + 1}: +${added} -${removed} =${unchanged}, ${rejected} rejected, in ${seconds(taken)}`,
  );
  for (const fault of comparison.faults) tell(`WRONG: ${fault}`);
  strikes.push(...struck);
  comparisons.push(comparison);
  return expected.list;
}
