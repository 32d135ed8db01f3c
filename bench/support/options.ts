import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Names of benchmarks, for bench/main.ts; empty: all. */
  only: string[];
  /** Undefined: what the benchmark is defined for. */
  members: number | undefined;
  rounds: number | undefined;
  /** Of bench/crash.ts: how many processes are killed, and what the random moments begin with. */
  kills: number | undefined;
  seed: number | undefined;
  /** Of bench/watchers.ts. */
  watchers: number | undefined;
  /** Of bench/siege.ts: names of attacks; empty: all. */
  attacks: string[];
  /** A server to use instead of an embedded one. Databases are made on it and dropped again. */
  databaseUrl: string | undefined;
}

export const USAGE =
  '[--only name,name] [--members 1000000] [--rounds 3] [--kills 50] [--seed 1] [--watchers 10k] [--attacks name,name] [--database-url postgresql://…] (numbers may be written 100k, 1M)';

/** Reads the command line. Throws on what it does not know. */
export function readOptions(args: string[] = process.argv.slice(2)): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', multiple: true },
      members: { type: 'string' },
      rounds: { type: 'string' },
      kills: { type: 'string' },
      seed: { type: 'string' },
      watchers: { type: 'string' },
      attacks: { type: 'string', multiple: true },
      'database-url': { type: 'string' },
    },
  });
  return {
    only: splitNames(values.only),
    members: readNumber(values.members),
    rounds: readNumber(values.rounds),
    kills: readNumber(values.kills),
    seed: readNumber(values.seed),
    watchers: readNumber(values.watchers),
    attacks: splitNames(values.attacks),
    databaseUrl: values['database-url'],
  };
}

function splitNames(given: string[] = []): string[] {
  return given.flatMap((names) => names.split(','));
}

function readNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, unit = ''] = /^(\d+)([kM]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new Error(`${text} is not a number such as 1000, 100k or 1M.`);
  return Number(digits) * ({ '': 1, k: 1_000, M: 1_000_000 }[unit] ?? 1);
}
