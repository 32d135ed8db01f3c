import { readFile } from 'node:fs/promises';
import { generate } from '@graphql-codegen/cli';
import config from '../codegen.ts';

/** Fails when a generated file is not what codegen would write now. Writes nothing. */
const generated = await generate({ ...config, silent: true }, false);
const stale: string[] = [];
for (const { filename, content } of generated) {
  const current = await readFile(filename, 'utf8').catch(() => undefined);
  if (current !== content) stale.push(filename);
}
if (stale.length > 0) {
  process.stderr.write(`Stale: ${stale.join(', ')}. Run npm run codegen and commit the result.\n`);
  process.exitCode = 1;
}
