import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const require = createRequire(import.meta.url);

export interface Compiled extends AsyncDisposable {
  /** What the compiler made of the operation or fragment with this name. */
  artifact(name: string): never;
  /** Ids and texts, when they were asked for. */
  persistedFile: string;
}

/** Runs Relay's compiler on our schema and these documents. Throws with its words when it refuses one. */
export async function compileRelay(
  documents: readonly string[],
  { persist = false } = {},
): Promise<Compiled> {
  const directory = await mkdtemp(join(tmpdir(), 'relay-'));
  const persistedFile = join(directory, 'persisted.json');
  const config = {
    src: '.',
    schema: './schema.graphql',
    artifactDirectory: './artifacts',
    language: 'javascript',
    eagerEsModules: false,
    ...(persist ? { persistConfig: { file: './persisted.json', algorithm: 'SHA256' } } : {}),
  };
  await copyFile(resolve(import.meta.dirname, '../../schema.graphql'), join(directory, 'schema.graphql'));
  await writeFile(join(directory, 'package.json'), '{}');
  await writeFile(join(directory, 'relay.config.json'), JSON.stringify(config));
  await writeFile(join(directory, 'persisted.json'), '{}');
  const source = documents.map((text) => `graphql\`${text}\`;`).join('\n');
  await writeFile(join(directory, 'Console.js'), source);
  await mkdir(join(directory, 'artifacts'));

  const compiler = spawn(process.execPath, [require.resolve('relay-compiler/cli.js'), '--noWatchman'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  for (const stream of [compiler.stdout, compiler.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      words += text;
    });
  const [code] = await once(compiler, 'close');
  if (code !== 0) throw new Error(`Relay's compiler refused: ${words}`);
  return {
    artifact: (name) => require(join(directory, 'artifacts', `${name}.graphql.js`)) as never,
    persistedFile,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
