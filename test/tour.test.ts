import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { paste, readSnippets, type Snippet, toPattern, withoutBlanks } from './support/pasted-page.ts';
import { takePorts } from './support/ports.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** Nine of the sandbox, and the service's. */
const FIRST_PORT = takePorts(10);

/** The same snippet on ports of the test's own. */
function onFreePorts(snippet: Snippet): Snippet {
  const command = snippet.command
    .replaceAll(/\b41(0\d)\b/g, (_, place) => String(FIRST_PORT + Number(place)))
    .replaceAll(/\b4000\b/g, String(FIRST_PORT + 9));
  return { ...snippet, command };
}

/** A folder that looks like the project's, so that what a reader leaves there is left in a place of its own. */
async function likeTheProject() {
  const directory = await mkdtemp(join(tmpdir(), 'cohort-sync-tour-'));
  // The embedded PostgreSQL of root works as somebody else.
  await chmod(directory, 0o755);
  for (const name of await readdir(ROOT)) {
    if (!name.startsWith('.')) await symlink(join(ROOT, name), join(directory, name));
  }
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** What a terminal shows of a program that stays. */
function openTerminal(command: string, cwd: string, env: Record<string, string>) {
  const child = spawn('bash', ['-c', command], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = once(child, 'close');
  let shown = '';
  const shows = new Promise<string>((resolve_) => {
    // What it prints when it is up: the controls' address, or that the service is.
    const look = (text: string) => {
      shown += text;
      if (/_control\n|Cohort Sync is up/.test(shown)) resolve_(shown);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', look);
    ended.then(() => resolve_(shown));
  });
  return {
    shows,
    async [Symbol.asyncDispose]() {
      // As Ctrl-C does: to the shell and all that it runs.
      if (child.exitCode === null) process.kill(-child.pid!, 'SIGINT');
      await ended;
    },
  };
}

test('the tour can be pasted as it stands, from the first command to the last, and prints what it says; so can the page for scripts', async () => {
  await using folder = await likeTheProject();
  const { directory } = folder;
  const env = { PORT: String(FIRST_PORT + 9), SANDBOX_PORT: String(FIRST_PORT), LOG_FORMAT: 'json' };
  const tour = readSnippets('docs/tour.md').map(onFreePorts);
  const scripts = readSnippets('docs/scripts.md').map(onFreePorts);
  const [sandboxCommand, serviceCommand] = ['1', '2'].map(
    (terminal) => tour.find((snippet) => snippet.terminal === terminal)!.command,
  );
  await using sandbox = openTerminal(sandboxCommand!, directory, env);
  expect(await sandbox.shows).toContain('_control\n');
  await using service = openTerminal(serviceCommand!, directory, env);
  expect(await service.shows).toContain('Cohort Sync is up');

  const typed = tour.filter(({ terminal }) => terminal === undefined);
  const [cleanUp, ...steps] = typed.toReversed();
  const pasted = await paste([...steps.toReversed(), ...scripts, cleanUp!], { cwd: directory, env });
  expect(pasted.length).toBeGreaterThan(15);
  for (const { command, printed, expected = '', exitCode } of pasted) {
    expect(withoutBlanks(printed), command).toMatch(toPattern(expected));
    expect(exitCode, command).toBe(0);
  }
  expect(existsSync(join(directory, 'guests.csv'))).toBe(false);
}, 300_000);
