import { lstat, readdir, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { discardBody } from './body.ts';
import { type CheckUpload, FILE_PREFIX, type MultipartParams, receiveUpload } from './receive-upload.ts';
import { rateLimited } from './refusal.ts';

/** Each may fill the disk with 2 GiB, and keeps a transaction busy that replaces a cohort. */
const MAX_UPLOADS = 4;
/** One project does not take the places of all others. */
const MAX_UPLOADS_OF_PROJECT = 2;
const RETRY_AFTER_SECONDS = 10;
const PACE_WINDOW_MS = 30_000;
/** An upload is given up by its client, or by us, long before. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;
export interface MultipartOperation {
  params: MultipartParams;
  /** Removes the file, and makes room for the next upload. */
  dispose(): Promise<void>;
}

/** The uploads of this process. */
export interface Uploads {
  /**
   * Reads a multipart request; `check` judges the operation before a byte of the file is kept. Throws what it throws,
   * BadUserInputError, BodyError, and RATE_LIMITED while too many are under way. What is left of the body is then read for
   * some seconds, so that the answer arrives.
   */
  receive(
    request: IncomingMessage,
    options: { projectId: string; check: CheckUpload },
  ): Promise<MultipartOperation>;
}

export function createUploads({ paceWindowMs = PACE_WINDOW_MS } = {}): Uploads {
  const underWay: string[] = [];

  function takePlace(projectId: string): () => void {
    const ofProject = underWay.filter((one) => one === projectId).length;
    if (underWay.length >= MAX_UPLOADS || ofProject >= MAX_UPLOADS_OF_PROJECT) {
      throw rateLimited('Too many uploads are under way. Try again when one is over.', RETRY_AFTER_SECONDS);
    }
    underWay.push(projectId);
    let isTaken = true;
    return () => {
      if (isTaken) underWay.splice(underWay.indexOf(projectId), 1);
      isTaken = false;
    };
  }

  return {
    async receive(request, { projectId, check }) {
      let path: string | undefined;
      let leavePlace: (() => void) | undefined;
      const dispose = async () => {
        leavePlace?.();
        if (path !== undefined) await rm(path, { force: true });
      };
      try {
        const params = await receiveUpload(request, {
          paceWindowMs,
          // Who may not upload takes nobody's place.
          check: async (asked, filePaths) => {
            await check(asked, filePaths);
            leavePlace = takePlace(projectId);
          },
          onPath: (made) => {
            path = made;
          },
        });
        return { params, dispose };
      } catch (error) {
        await dispose();
        throw error;
      } finally {
        // What comes after the last part too.
        discardBody(request);
      }
    },
  };
}

/**
 * Removes what processes of this user that were killed in the middle of an upload have left behind. Nothing that is in the
 * temporary folder stops the service from starting.
 */
export async function removeAbandonedUploads(): Promise<void> {
  // The machine's own time, by which files are dated; other processes may be uploading now.
  const now = Date.now();
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(FILE_PREFIX)) continue;
    const path = join(tmpdir(), name);
    // Somebody else may remove it first. A link is not followed: what it leads to is nobody's upload.
    const file = await lstat(path).catch(() => undefined);
    if (!file?.isFile() || file.uid !== (process.getuid?.() ?? file.uid)) continue;
    if (now - file.mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true }).catch(() => undefined);
  }
}
