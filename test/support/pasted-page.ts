import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');
/** Before each snippet's exit code, in the output of all of them. */
const MARK = '\u001e';

export interface Snippet {
  /** Which terminal it is for; the reader's own unless it says so. */
  terminal: string | undefined;
  command: string;
  /** What the page says it prints. */
  expected: string | undefined;
}

export interface PastedSnippet extends Snippet {
  exitCode: number;
  printed: string;
}

/** The commands of a page of ours in their order, each with the output that follows it, and GraphQL as what the tour's `ask` sends. */
export function readSnippets(page: string): Snippet[] {
  const text = readFileSync(resolve(ROOT, page), 'utf8');
  const snippets: Snippet[] = [];
  for (const [, language, terminal, body] of text.matchAll(/^```(\w*)(?: terminal=(\d))?\n(.*?)^```$/gms)) {
    if (language === 'sh') snippets.push({ terminal, command: body!, expected: undefined });
    else if (language === 'graphql' && !body!.startsWith('subscription')) {
      snippets.push({ terminal, command: `ask '${body}'\n`, expected: '{\n  "data": {…}\n}' });
    } else if (language === '' || language === 'json') snippets.at(-1)!.expected = body!;
  }
  return snippets;
}

/** Pastes snippets into one shell, one after the other, and returns what each printed. */
export async function paste(
  snippets: readonly Snippet[],
  { cwd, env }: { cwd: string; env: Record<string, string> },
): Promise<PastedSnippet[]> {
  const script = snippets
    .map(({ command }) => `{ ${command}} 2>&1\nprintf '${MARK}%s${MARK}' "$?"\n`)
    .join('');
  const { stdout } = await promisify(execFile)('bash', ['-c', script], {
    cwd,
    env: { PATH: process.env.PATH!, ...env },
    maxBuffer: 16_000_000,
    // A step that waits for what does not come.
    timeout: 240_000,
    killSignal: 'SIGKILL',
  });
  const parts = stdout.split(MARK);
  return snippets.map((snippet, index) => ({
    ...snippet,
    printed: parts[index * 2]!.trim(),
    exitCode: Number(parts[index * 2 + 1]),
  }));
}

/** Matches what says the same as the page, where … stands for anything. Both are compared without their blanks: by withoutBlanks. */
export function toPattern(expected: string): RegExp {
  const parts = withoutBlanks(expected).split('…');
  return new RegExp(`^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*?')}$`);
}

/** The page's formatter lays JSON out as it likes. */
export function withoutBlanks(text: string): string {
  return text.replaceAll(/\s+/g, '');
}
