import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The directory cannot be used, for a reason that its operator can see to. The message says which. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}

/**
 * Throws DataDirectoryError when the directory holds data that this PostgreSQL would not start with: of another version, or of
 * another user. It says so itself in a log that nobody reads.
 */
export async function checkDirectory(
  directory: string,
  expected: { majorVersion: string; uid: number | undefined },
): Promise<void> {
  const made = await readFile(join(directory, 'PG_VERSION'), 'utf8').catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explainFileError(error) ?? error;
  });
  if (made === undefined) return;
  const { uid } = await stat(directory);
  if (expected.uid !== undefined && uid !== expected.uid) {
    throw new DataDirectoryError(
      `${directory} belongs to the user ${uid}, and PostgreSQL would run as ${expected.uid}. Start the service as it was started before, or choose another directory.`,
    );
  }
  if (made.trim() !== expected.majorVersion) {
    throw new DataDirectoryError(
      `${directory} was made by PostgreSQL ${made.trim()}, and this version of the service brings ${expected.majorVersion}. Move the data with the version from before (pg_dump), or choose another directory.`,
    );
  }
}

const REASONS: Record<string, string> = {
  EACCES: 'this user may not use',
  EPERM: 'this user may not use',
  EROFS: 'nothing can be written to',
  ENOSPC: 'the disk is full at',
  ENOTDIR: 'there is a file where a directory should be:',
  EEXIST: 'there is a file where a directory should be:',
};

/** In the operator's words; undefined for what is not theirs to see to. */
export function explainFileError(error: unknown): DataDirectoryError | undefined {
  const { code = '', path } = (error ?? {}) as NodeJS.ErrnoException;
  const reason = REASONS[code];
  return reason === undefined || path === undefined
    ? undefined
    : new DataDirectoryError(`${reason} ${path}.`);
}
