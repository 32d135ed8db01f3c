import { randomUUID } from 'node:crypto';
import { createWriteStream, openAsBlob } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import { BadUserInputError } from '../errors.ts';
import type { Upload } from '../schema/builder.ts';

const MAX_FILE_BYTES = 2 * 1024 ** 3;
const MAX_FILES = 5;
const FILE_PREFIX = 'cohort-sync-upload-';
/** An upload is given up by its client, or by us, long before. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;
/** For operations and map, which come before the files. */
const MAX_FIELD_BYTES = 1_000_000;

export interface MultipartOperation {
  params: { query?: string; variables?: Record<string, unknown>; operationName?: string };
  /** Removes the files. */
  dispose(): Promise<void>;
}

/**
 * Reads a request of the GraphQL multipart request specification. Files go to disk as they come in, so memory does not
 * grow with them. Throws BadUserInputError.
 */
export async function readMultipart(request: IncomingMessage): Promise<MultipartOperation> {
  const paths: string[] = [];
  const dispose = async () => {
    await Promise.all(paths.map((path) => rm(path, { force: true })));
  };
  try {
    const { fields, files } = await receive(request, paths);
    const params = parseJson('operations', fields.get('operations'));
    const map = parseJson('map', fields.get('map'));
    for (const [part, targets] of Object.entries(map)) {
      const file = files.get(part);
      if (!file) throw malformed('map', `names a part "${part}" that did not come.`);
      if (!Array.isArray(targets)) throw malformed('map', 'must give a list of paths for each part.');
      for (const target of targets) setAt(params, String(target), file);
    }
    return { params: params as MultipartOperation['params'], dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function receive(request: IncomingMessage, paths: string[]) {
  const fields = new Map<string, string>();
  const files = new Map<string, Upload>();
  const writing: Promise<void>[] = [];
  let parser: InstanceType<typeof Busboy>;
  try {
    parser = new Busboy({
      headers: request.headers as IncomingMessage['headers'] & { 'content-type': string },
      limits: { fileSize: MAX_FILE_BYTES, files: MAX_FILES, fields: 2, fieldSize: MAX_FIELD_BYTES },
    });
  } catch {
    throw malformed('content-type', 'must be multipart/form-data with a boundary.');
  }
  let isTooLarge = false;
  parser.on('field', (name, value) => fields.set(name, value));
  parser.on('file', (part, stream, name) => {
    const path = join(tmpdir(), `${FILE_PREFIX}${randomUUID()}`);
    paths.push(path);
    stream.on('limit', () => {
      isTooLarge = true;
    });
    const write = pipeline(stream, createWriteStream(path, { mode: 0o600 })).then(async () => {
      const blob = await openAsBlob(path);
      files.set(part, { name, stream: () => blob.stream() as ReadableStream<Uint8Array> });
    });
    // Without somebody who takes it, the rest of the body would never be read.
    write.catch((error) => parser.destroy(error));
    writing.push(write);
  });
  try {
    await pipeline(request, parser);
    await Promise.all(writing);
  } catch (error) {
    // A disk that is full is no fault of the caller.
    if (isDiskError(error)) throw error;
    throw malformed('body', 'is not a whole multipart/form-data body.');
  }
  if (isTooLarge) throw malformed('file', `is larger than ${MAX_FILE_BYTES / 1024 ** 3} GiB.`);
  return { fields, files };
}

function isDiskError(error: unknown): boolean {
  return ['open', 'write', 'close'].includes((error as NodeJS.ErrnoException).syscall ?? '');
}

function parseJson(name: string, text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw malformed(name, 'must be a field with a JSON object, before the files.');
}

/** Removes what processes that were killed in the middle of an upload have left behind. */
export async function removeAbandonedUploads(): Promise<void> {
  // The machine's own time, by which files are dated; other processes may be uploading now.
  const now = Date.now();
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(FILE_PREFIX)) continue;
    const path = join(tmpdir(), name);
    // Somebody else may remove it first.
    const file = await stat(path).catch(() => undefined);
    if (file && now - file.mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
  }
}

/** Puts a file where the map says: variables.input.file. Only places that are there and null are filled. */
function setAt(params: Record<string, unknown>, path: string, file: Upload): void {
  const keys = path.split('.');
  const last = keys.pop()!;
  let holder: unknown = params;
  for (const key of keys) {
    holder =
      typeof holder === 'object' && holder !== null && Object.hasOwn(holder, key)
        ? (holder as Record<string, unknown>)[key]
        : undefined;
  }
  if (
    typeof holder !== 'object' ||
    holder === null ||
    !Object.hasOwn(holder, last) ||
    keys[0] !== 'variables' ||
    (holder as Record<string, unknown>)[last] !== null
  ) {
    throw malformed('map', `names ${path}, which operations does not hold as null.`);
  }
  (holder as Record<string, unknown>)[last] = file;
}

function malformed(field: string, message: string): BadUserInputError {
  return new BadUserInputError([{ path: [field], message }]);
}
