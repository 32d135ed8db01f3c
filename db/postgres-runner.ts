import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a program of PostgreSQL's as somebody who is not root. */
export interface Runner {
  /** Whose the files must be; undefined: the user of this process. */
  owner: { uid: number; gid: number } | undefined;
  command(program: string, args: string[]): [string, string[]];
}

/**
 * PostgreSQL refuses to run as root: then it runs as the system's user postgres, made when it is missing. In a place
 * that only root may enter (/root, for example) that user keeps the capability to pass through. postgres: the server's
 * program; parent: the directory that its own will be in.
 */
export async function createRunner(postgres: string, parent: string): Promise<Runner> {
  if (process.getuid?.() !== 0) return { owner: undefined, command: (program, args) => [program, args] };
  const owner = await findOwner();
  const become = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
  // Without the secure bit access(2), by which initdb looks for its programs, would not count the capability.
  const capability = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  const passing = [...become, '--securebits=+no_setuid_fixup', ...capability];
  for (const options of [become, passing]) {
    const command = (program: string, args: string[]): [string, string[]] => [
      'setpriv',
      [...options, '--', program, ...args],
    ];
    try {
      await run(...command('test', ['-x', parent, '-a', '-x', postgres]));
      return { owner, command };
    } catch {
      // The next way, then.
    }
  }
  throw new Error(
    `PostgreSQL does not run as root, and the user postgres cannot reach ${parent}. Choose another DATA_DIR, or set DATABASE_URL.`,
  );
}

async function findOwner(): Promise<{ uid: number; gid: number }> {
  const id = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout);
  try {
    return { uid: await id('-u'), gid: await id('-g') };
  } catch {
    // Of several processes that find it missing, one makes it.
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).catch(() => undefined);
    return { uid: await id('-u'), gid: await id('-g') };
  }
}
