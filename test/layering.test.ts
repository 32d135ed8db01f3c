import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

interface Import {
  from: string;
  /** A file of ours, or the name of a package. */
  to: string;
  isOurs: boolean;
  /** Erased before the program runs. */
  isTypeOnly: boolean;
}

// What bench/peer installs for itself is not ours.
const files = globSync('{src,db,sandbox,bench,scripts,test}/**/*.ts', {
  cwd: ROOT,
  exclude: (name) => name === 'node_modules',
}).sort();
const imports = files.flatMap(readImports);

/** Small files that every floor of src may use: the environment, errors, the clock, the log, secrets. */
const LEAVES = [
  'clock',
  'data-dir',
  'env',
  'env-values',
  'errors',
  'json',
  'logger',
  'maybe-promise',
  'secrets',
  'shared-lookup',
  'unknown-variables',
].map((name) => `src/${name}.ts`);

type Floor =
  | 'main'
  | 'app'
  | 'server'
  | 'schema'
  | 'resolvers'
  | 'events'
  | 'sync'
  | 'context'
  | 'leaf'
  | 'db';

/** main → app → server → schema → resolvers → events → sync → db. A floor may use any floor below it, not only the next. */
const MAY_USE: Record<Floor, readonly Floor[]> = {
  main: ['app', 'server', 'schema', 'resolvers', 'events', 'sync', 'leaf', 'db'],
  app: ['server', 'schema', 'resolvers', 'events', 'sync', 'leaf', 'db'],
  server: ['schema', 'resolvers', 'events', 'sync', 'leaf', 'db'],
  schema: ['resolvers', 'leaf'],
  resolvers: ['events', 'sync', 'leaf', 'db'],
  events: ['sync', 'leaf', 'db'],
  sync: ['leaf', 'db'],
  context: [],
  leaf: [],
  db: [],
};

/**
 * Types have two liberties, for nothing is left of them when the program runs. context.ts says what a resolver is
 * given, so it names what the floors below it made, and whoever is above it names the context. And the shapes of rows
 * (db/tables.ts, db/queries) are named wherever rows are passed on: in the schema and the leaves.
 */
const MAY_NAME_TYPES_OF: Record<Floor, readonly Floor[]> = {
  ...MAY_USE,
  app: [...MAY_USE.app, 'context'],
  server: [...MAY_USE.server, 'context'],
  schema: [...MAY_USE.schema, 'context', 'events', 'sync', 'db'],
  resolvers: [...MAY_USE.resolvers, 'context'],
  context: ['resolvers', 'events', 'sync', 'leaf', 'db'],
  leaf: ['db'],
};

test('every import in src and db goes down, from floor to floor', () => {
  const wrong = imports
    .filter(({ from, isOurs }) => isOurs && isOfService(from))
    .filter(({ from, to, isTypeOnly }) => {
      if (!isOfService(to)) return true;
      const allowed = (isTypeOnly ? MAY_NAME_TYPES_OF : MAY_USE)[floorOf(from)];
      return floorOf(from) !== floorOf(to) && !allowed.includes(floorOf(to));
    });
  expect(wrong.map(arrow)).toEqual([]);
});

test('db knows nothing of src', () => {
  expect(arrows('db/', (to) => !to.startsWith('db/'))).toEqual([]);
});

test('the service knows nothing of the sandbox, the benchmarks, the scripts and the tests', () => {
  const isTool = (to: string) => /^(sandbox|bench|scripts|test)\//.test(to);
  expect([...arrows('src/', isTool), ...arrows('db/', isTool)]).toEqual([]);
});

test('the sandbox knows the partners and nothing of the service', () => {
  expect(arrows('sandbox/', (to) => !to.startsWith('sandbox/'))).toEqual([]);
});

test('a migration imports nothing of ours', () => {
  expect(arrows('db/migrations/', () => true)).toEqual([]);
});

test('GraphQL stays in the schema and the server, SQL in db', () => {
  const users = (packages: RegExp) => [
    ...new Set(
      imports
        .filter(({ from, to, isOurs }) => !isOurs && isOfService(from) && packages.test(to))
        .map(({ from }) => (from.startsWith('db/') ? 'db' : floorOf(from))),
    ),
  ];
  expect(users(/^(graphql|graphql-yoga|graphql-ws|@pothos)(\/|$)/).sort()).toEqual(['schema', 'server']);
  expect(users(/^kysely(\/|$)/)).toEqual(['db']);
});

test('no file imports itself by way of others', () => {
  // Types of one floor may name each other: run-sync.ts hands its execution to compare-list.ts, for example.
  const next = new Map<string, string[]>();
  for (const { from, to, isOurs, isTypeOnly } of imports) {
    if (isOurs && !isTypeOnly) next.set(from, [...(next.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: string[]) => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || path.includes(file)) return;
    for (const imported of next.get(file) ?? []) visit(imported, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

/** Programs: they do something when they are started, and nobody imports them. */
const PROGRAMS = [
  'src/main.ts',
  'src/migrate-main.ts',
  'src/token-main.ts',
  'src/server/graphiql-files-main.ts',
  'sandbox/main.ts',
];

test('importing a file of the service or the sandbox opens nothing', async () => {
  const importable = files.filter((file) => /^(src|db|sandbox)\//.test(file) && !PROGRAMS.includes(file));
  const script = `
    // The streams of the process itself, which anybody may look at.
    const streams = [process.stdout, process.stderr];
    const before = process.getActiveResourcesInfo().length;
    for (const file of ${JSON.stringify(importable)}) {
      await import('./' + file);
      const open = process.getActiveResourcesInfo();
      if (open.length > before) throw new Error(file + ' opened one of ' + open.join(', '));
    }
    process.stdout.write('nothing is open');`;
  expect(await runScript(script)).toBe('nothing is open');
});

test('nobody imports a program', () => {
  expect(imports.filter(({ to }) => PROGRAMS.includes(to)).map(arrow)).toEqual([]);
});

test('the schema is built and printed without a database', async () => {
  const script = `
    const { buildSchema } = await import('./src/schema/schema.ts');
    const { printSchema } = await import('graphql');
    process.stdout.write(printSchema(buildSchema()));`;
  expect(await runScript(script)).toContain('startSync(');
});

/** Ends by itself, or never when something is left open. */
async function runScript(script: string): Promise<string> {
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}

function readImports(from: string): Import[] {
  const text = readFileSync(join(ROOT, from), 'utf8');
  const statements = /^(?:import|export) (?:(type )?([^'";]*?) from )?'([^']+)';$|\bimport\('([^']+)'\)/gms;
  return [...text.matchAll(statements)].map(([, type, names, named, dynamic]) => {
    const specifier = named ?? dynamic!;
    const isOurs = specifier.startsWith('.');
    return {
      from,
      to: isOurs ? normalize(join(dirname(from), specifier)) : specifier,
      isOurs,
      isTypeOnly: type !== undefined || isAllTypes(names ?? ''),
    };
  });
}

/** { type A, type B } */
function isAllTypes(names: string): boolean {
  const listed = /^\{(.*)\}$/s.exec(names.trim())?.[1]?.split(',') ?? [''];
  return (
    listed.filter((name) => name.trim() !== '').every((name) => name.trim().startsWith('type ')) &&
    names !== ''
  );
}

function isOfService(file: string): boolean {
  return file.startsWith('src/') || file.startsWith('db/');
}

function floorOf(file: string): Floor {
  if (file.startsWith('db/')) return 'db';
  if (LEAVES.includes(file)) return 'leaf';
  if (PROGRAMS.includes(file) || file === 'src/with-database.ts') return 'main';
  const [, floor] = /^src\/(app|server|schema|resolvers|events|sync|context)(?:\.ts$|\/)/.exec(file) ?? [];
  if (floor === undefined) throw new Error(`${file} is on no floor; say in this test where it belongs.`);
  return floor as Floor;
}

function arrows(from: string, isWrong: (to: string) => boolean): string[] {
  return imports.filter((one) => one.isOurs && one.from.startsWith(from) && isWrong(one.to)).map(arrow);
}

function arrow({ from, to }: Import): string {
  return `${from} → ${to}`;
}
