import type { Call } from '../../sandbox/calls.ts';
import { describeLine, type Expected } from './cohort.ts';
import { CONCURRENCY, type Scene } from './scene.ts';

/** A request that was on its way when its sender was struck may come in this long after. */
const ON_THE_WAY_MS = 1_000;

export interface Comparison {
  /** What is wrong, in words; empty: all is as it must be. */
  faults: string[];
  sent: number;
  sentAgain: number;
}

/**
 * Compares a run that is over with what it must have come to: counts, list in Iterable, ledger, journal, list state, and
 * what Iterable was asked. struckAt: when something was struck that the run depends on.
 */
export async function compareRun(
  scene: Scene,
  runId: string,
  expected: Expected,
  struckAt: readonly number[],
): Promise<Comparison> {
  const { sandbox, cluster } = scene;
  const repeats = compareRequests(sandbox.calls.all, struckAt);
  const faults = [
    ...(await compareCounts(scene, runId, expected)),
    ...compareList(scene, expected),
    ...difference('in the ledger', await readLedger(scene, runId), expected.ledger),
    ...(await compareJournal(scene, expected)),
    ...repeats.faults,
    ...sandbox.calls.complaints.map((complaint) => `Iterable complains: ${complaint}`),
    ...cluster.logs().flatMap((line) => (Number(line.level) >= 50 ? `logged: ${JSON.stringify(line)}` : [])),
  ];
  return { ...repeats, faults };
}

async function compareCounts(scene: Scene, runId: string, expected: Expected): Promise<string[]> {
  const { syncRun: run } = await scene.cluster.query(
    `query ($id: ID!) { syncRun(id: $id) { status error { message } export { listSize }
       counts { members added unchanged removed rejected notProcessed } } }`,
    { id: runId },
  );
  const told = { status: run.status, listSize: run.export.listSize, ...run.counts };
  const wanted = {
    status: 'PARTIALLY_SUCCEEDED',
    listSize: expected.list.size,
    ...expected.counts,
    notProcessed: 0,
  };
  return Object.entries(wanted).flatMap(([name, value]) =>
    told[name] === value ? [] : `${name} should be ${value} and is ${told[name]} ${run.error?.message ?? ''}`,
  );
}

function compareList({ iterable, cohort }: Scene, { list }: Expected): string[] {
  const profiles = [...(iterable.list(cohort.listName)?.members ?? [])];
  const wrong = profiles.filter(({ email, userId }) => {
    const wanted = list.get(email!);
    return wanted !== undefined && wanted !== userId;
  });
  return [
    ...(iterable.lists.size === 1 ? [] : [`there are ${iterable.lists.size} lists`]),
    ...difference(
      'on the list',
      profiles.map(({ email }) => email!),
      new Set(list.keys()),
    ),
    ...wrong.slice(0, 3).map(({ email, userId }) => `${email} has the userId ${userId}`),
  ];
}

async function readLedger({ cluster }: Scene, runId: string): Promise<string[]> {
  const lines: string[] = [];
  for (let after: string | null = null; ; ) {
    const { syncRun } = await cluster.query(
      `query ($id: ID!, $after: String) { syncRun(id: $id) { members(first: 100, after: $after) {
         edges { node { outcome reason distinctId } } pageInfo { hasNextPage endCursor } } } }`,
      { id: runId, after },
    );
    const { edges, pageInfo } = syncRun.members;
    for (const { node } of edges) lines.push(describeLine(node));
    if (!pageInfo.hasNextPage) return lines;
    after = pageInfo.endCursor;
  }
}

/** Everything that was planned is answered, it adds up to the counts, and to who is on the list. */
async function compareJournal({ pool }: Scene, { counts, list }: Expected): Promise<string[]> {
  const { rows } = await pool.query(
    `select count(*) filter (where b.run_id = r.id and b.state <> 'SETTLED')::int as open,
       coalesce(sum(b.added) filter (where b.run_id = r.id), 0)::int as added,
       coalesce(sum(b.removed) filter (where b.run_id = r.id), 0)::int as removed,
       sum(b.live_count)::int as live, sum(bit_count(b.live))::int as bits
     from sync_batches b, (select max(id) as id from sync_runs) r`,
  );
  const wanted = { open: 0, added: counts.added, removed: counts.removed, live: list.size, bits: list.size };
  return Object.entries(wanted).flatMap(([name, value]) =>
    rows[0][name] === value ? [] : `in the journal, ${name} should be ${value} and is ${rows[0][name]}`,
  );
}

/** Each batch once, and once more for a strike that met it on its way; of one strike no more than can be on their way. */
function compareRequests(calls: readonly Call[], struckAt: readonly number[]): Comparison {
  const updates = calls.filter(({ subscribers }) => subscribers !== undefined);
  const batches = new Map<string, { people: string[]; receivedAt: number[] }>();
  for (const { operation, subscribers, receivedAt } of updates) {
    const people = subscribers!.map(({ email }) => `${operation} ${email}`);
    const batch = batches.get(people.join()) ?? { people, receivedAt: [] };
    batch.receivedAt.push(receivedAt);
    batches.set(people.join(), batch);
  }
  const faults = explainRepeats(
    [...batches.values()].map((batch) => batch.receivedAt),
    struckAt,
  );
  const people = [...batches.values()].flatMap((batch) => batch.people);
  const twice = people.length - new Set(people).size;
  if (twice > 0) faults.push(`${twice} people were in two batches`);
  const timesOf = (operation: string, time: 'at' | 'receivedAt') =>
    updates.filter((call) => call.operation === operation).map((call) => call[time]);
  const lastRemoval = Math.max(...timesOf('iterable.unsubscribe', 'at'));
  if (lastRemoval > Math.min(...timesOf('iterable.subscribe', 'receivedAt'))) {
    faults.push('somebody was added before all removals were answered');
  }
  return { faults, sent: batches.size, sentAgain: updates.length - batches.size };
}

/** Whatever cannot be put down to a strike, of those that can be on their way at once when it falls. */
function explainRepeats(receivedAt: readonly number[][], struckAt: readonly number[]): string[] {
  const repeats = receivedAt
    .map((times) => times.toSorted((left, right) => left - right))
    .flatMap((times) => times.slice(1).map((again, index) => ({ before: times[index]!, again })));
  const room = new Map(struckAt.map((at) => [at, CONCURRENCY]));
  const faults: string[] = [];
  for (const { before, again } of repeats.toSorted((left, right) => left.again - right.again)) {
    const strike = struckAt.find((at) => at >= before - ON_THE_WAY_MS && at <= again && room.get(at)! > 0);
    if (strike !== undefined) room.set(strike, room.get(strike)! - 1);
    else {
      const strikes = struckAt.map((at) => `${at - again} ms`).join(', ');
      faults.push(`a batch was sent again after ${again - before} ms; struck before that: ${strikes}`);
    }
  }
  return faults;
}

function difference(where: string, found: string[], wanted: ReadonlySet<string>): string[] {
  const foundSet = new Set(found);
  const missing = [...wanted].filter((line) => !foundSet.has(line));
  const foreign = found.filter((line) => !wanted.has(line));
  const name = (lines: string[]) => lines.slice(0, 3).join(', ');
  return [
    ...(missing.length > 0 ? [`${missing.length} are missing ${where}: ${name(missing)}`] : []),
    ...(foreign.length > 0 ? [`${foreign.length} should not be ${where}: ${name(foreign)}`] : []),
    ...(found.length === foundSet.size ? [] : [`${found.length - foundSet.size} are twice ${where}`]),
  ];
}
