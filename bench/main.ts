import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readOptions, USAGE } from './support/options.ts';

/** Runs the benchmarks one after the other, each in a process of its own, so that none inherits another's memory. */
const NAMES = [
  'sync-speed',
  'memory',
  'pacing',
  'watchers',
  'storage',
  'member-lookup',
  'cohort-push',
  'messaging-events',
  'gateway',
  'floor',
  'first-minutes',
  'siege',
  'crash',
];
/** Proofs and no figures; and one that needs the registry. */
const ONLY_WHEN_NAMED = ['first-minutes', 'siege', 'crash'];

try {
  const { only } = readOptions();
  const unknown = only.filter((name) => !NAMES.includes(name));
  if (unknown.length > 0)
    throw new Error(`There is no benchmark ${unknown.join(', ')}; there are ${NAMES.join(', ')}.`);
  for (const name of NAMES.filter((one) =>
    only.length === 0 ? !ONLY_WHEN_NAMED.includes(one) : only.includes(one),
  )) {
    const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
    const child = spawn(process.execPath, [script, ...process.argv.slice(2)], { stdio: 'inherit' });
    const [code] = await once(child, 'exit');
    if (code !== 0) {
      process.stderr.write(`${name} did not finish.\n`);
      process.exitCode = 1;
    }
  }
} catch (error) {
  process.stderr.write(
    `${error instanceof Error ? error.message : error}\nUsage: npm run bench -- ${USAGE}\n`,
  );
  process.exitCode = 1;
}
