import type { LoadProcess } from '../support/load-process.ts';
import type { BenchPostgres } from '../support/postgres.ts';
import { median } from '../support/results.ts';

const WARM_UP_SECONDS = 2;
const ROUND_SECONDS = 4;
const ONE_CALLER_SECONDS = 1;

export interface Candidate {
  url: string;
  cpuSeconds(): number;
  /** Places from which it can be asked for a page. */
  cursors: string[];
}

export interface Round {
  perSecond: number;
  /** Milliseconds for a request, as are the following. */
  cpuMs: number;
  databaseCpuMs: number;
  callerCpuMs: number;
  p50: number;
  p99: number;
  bytes: number;
  /** Of one caller who is alone. */
  firstByteMs: number;
}

interface Machine {
  load: LoadProcess;
  postgres: Pick<BenchPostgres, 'cpuSeconds'>;
  rounds: number;
  connections: number;
}

export interface Comparison {
  ours: Round;
  theirs: Round;
  /** Our requests a second in theirs. */
  times: number;
  /** Their CPU for a request, the database's included, in ours. */
  cpuTimes: number;
}

/**
 * In turns, so that both meet the machine in the same mood. Returns the median of each figure, and of the ratios
 * within each pair of turns.
 */
export async function measureBoth(
  machine: Machine,
  candidates: [Candidate, Candidate],
  requestsOf: (candidate: Candidate) => string[],
): Promise<Comparison> {
  const pairs: { ours: Round; theirs: Round }[] = [];
  for (const candidate of candidates) await measure(machine, candidate, requestsOf, WARM_UP_SECONDS);
  for (let round = 0; round < machine.rounds; round++) {
    const ours = await measure(machine, candidates[0], requestsOf, ROUND_SECONDS);
    const theirs = await measure(machine, candidates[1], requestsOf, ROUND_SECONDS);
    pairs.push({ ours, theirs });
  }
  const cpuOf = ({ cpuMs, databaseCpuMs }: Round) => cpuMs + databaseCpuMs;
  return {
    ours: middle(pairs.map(({ ours }) => ours)),
    theirs: middle(pairs.map(({ theirs }) => theirs)),
    times: median(pairs.map(({ ours, theirs }) => ours.perSecond / theirs.perSecond)),
    cpuTimes: median(pairs.map(({ ours, theirs }) => cpuOf(theirs) / cpuOf(ours))),
  };
}

async function measure(
  { load, postgres, connections }: Machine,
  candidate: Candidate,
  requestsOf: (candidate: Candidate) => string[],
  seconds: number,
): Promise<Round> {
  const { url } = candidate;
  const requests = requestsOf(candidate);
  const alone = await load.run({
    url,
    requests,
    connections: 1,
    seconds: Math.min(seconds, ONE_CALLER_SECONDS),
  });
  const before = { server: candidate.cpuSeconds(), database: postgres.cpuSeconds() };
  const report = await load.run({ url, requests, connections, seconds });
  const perRequest = (cpuSeconds: number) => (cpuSeconds * 1000) / report.requests;
  return {
    perSecond: report.requests / report.seconds,
    cpuMs: perRequest(candidate.cpuSeconds() - before.server),
    databaseCpuMs: perRequest(postgres.cpuSeconds() - before.database),
    callerCpuMs: perRequest(report.cpuSeconds),
    p50: report.p50,
    p99: report.p99,
    bytes: report.bytes,
    firstByteMs: alone.firstByteP50,
  };
}

function middle(rounds: Round[]): Round {
  const names = Object.keys(rounds[0]!) as (keyof Round)[];
  const entries = names.map((name) => [name, median(rounds.map((round) => round[name]))]);
  return Object.fromEntries(entries) as Record<keyof Round, number>;
}
