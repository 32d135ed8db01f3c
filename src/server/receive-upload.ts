import { randomUUID } from 'node:crypto';
import { createWriteStream, openAsBlob } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import { BadUserInputError } from '../errors.ts';
import type { Upload } from '../schema/builder.ts';
import { tooSlow } from './body.ts';
import { watchPace } from './watch-pace.ts';

export const FILE_PREFIX = 'cohort-sync-upload-';
const MAX_FILE_BYTES = 2 * 1024 ** 3;
/** For operations and map each, as for any other operation. */
const MAX_FIELD_BYTES = 1_000_000;
/** What may come that is no file: both fields, heads of parts, what stands before and between them, and what is under way. */
const MAX_OTHER_BYTES = 2 * MAX_FIELD_BYTES + 256 * 1024;
const FIELDS = ['operations', 'map'] as const;

export interface MultipartParams {
  query?: string;
  variables?: Record<string, unknown>;
  operationName?: string;
}

/** Throws when the operation is not to be run. Asked before the first byte of the file is kept. */
export type CheckUpload = (params: MultipartParams, filePaths: string[]) => Promise<void> | void;

/**
 * Reads a request of the GraphQL multipart request specification: operations, map and one file, in this order. The file goes
 * to disk as it comes in, so memory does not grow with it. Throws BadUserInputError, BodyError or what `check` throws, as
 * soon as there is cause; the rest of the body is then unread. `onPath` is told of the file before it is made.
 */
export async function receiveUpload(
  request: IncomingMessage,
  options: { check: CheckUpload; paceWindowMs: number; onPath: (path: string) => void },
): Promise<MultipartParams> {
  const parser = openParser(request);
  const ending = new AbortController();
  let pending: { params: MultipartParams; part: string; file: Upload; allowed: Promise<void> } | undefined;
  let operations: Record<string, unknown> | undefined;
  let written: Promise<void> | undefined;
  let receivedBytes = 0;
  let countFile = () => 0;

  function takeField(name: string, text: string, isCut: boolean) {
    const expected = FIELDS[operations ? 1 : 0];
    if (pending || name !== expected)
      throw malformed(String(name), 'is not expected: send operations, map and one file.');
    if (isCut) throw malformed(name, `must have at most ${MAX_FIELD_BYTES} bytes.`);
    const value = parseJson(name, text);
    if (!operations) {
      operations = value;
      return;
    }
    const { part, path } = readMap(value);
    const file: Upload = { name: '', stream: () => new Blob().stream() as ReadableStream<Uint8Array> };
    setAt(operations, path, file);
    const params = operations as MultipartParams;
    pending = { params, part, file, allowed: Promise.resolve().then(() => options.check(params, [path])) };
    pending.allowed.catch(fail);
  }

  function takeFile(part: string, stream: Readable & { bytesRead: number }, name: string) {
    // Its own error says no more than the parser's.
    stream.on('error', () => undefined);
    if (!pending) throw malformed('map', 'must come before the file, and operations before it.');
    if (pending.part !== part) throw malformed('map', `does not name the part "${part}".`);
    stream.on('limit', () => fail(tooLarge()));
    countFile = () => stream.bytesRead;
    written = keepFile(pending, stream, name);
    written.catch(fail);
  }

  async function keepFile({ allowed, file }: NonNullable<typeof pending>, stream: Readable, name: string) {
    await allowed;
    ending.signal.throwIfAborted();
    const path = join(tmpdir(), `${FILE_PREFIX}${randomUUID()}`);
    options.onPath(path);
    // Never through a link that somebody else has put there.
    await pipeline(stream, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal: ending.signal });
    const blob = await openAsBlob(path);
    Object.assign(file, { name, stream: () => blob.stream() });
  }

  let fail: (error: unknown) => void = () => undefined;
  const guarded =
    <Args extends unknown[]>(act: (...args: Args) => void) =>
    (...args: Args) => {
      try {
        act(...args);
      } catch (error) {
        fail(error);
      }
    };
  const stopWatching: (() => void)[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      fail = reject;
      if (Number(request.headers['content-length'] ?? 0) > MAX_FILE_BYTES + MAX_OTHER_BYTES) throw tooLarge();
      parser.on(
        'field',
        guarded((name, text, _isNameCut, isCut) => takeField(name, text, isCut)),
      );
      parser.on('file', guarded(takeFile));
      for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
        parser.on(limit, () => fail(malformed('body', 'has more than operations, map and one file.')));
      }
      parser.on('error', () => fail(notWhole()));
      parser.on('finish', () => {
        if (!pending) fail(malformed(operations ? 'map' : 'operations', 'did not come.'));
        else if (!written) fail(malformed('map', `names a part "${pending.part}" that did not come.`));
        else written.then(resolve, reject);
      });
      const count = (chunk: Buffer) => {
        receivedBytes += chunk.length;
        if (receivedBytes - countFile() > MAX_OTHER_BYTES) {
          fail(malformed('body', `has more than ${MAX_OTHER_BYTES} bytes besides the file.`));
        }
      };
      const slow = () => fail(tooSlow('The upload came too slowly, or not at all.'));
      request.on('data', count);
      stopWatching.push(
        () => request.off('data', count),
        watchPace(request, options.paceWindowMs, slow),
        finished(request, { writable: false }, (error) => error && fail(notWhole())),
      );
      request.pipe(parser);
    });
    return pending!.params;
  } catch (error) {
    ending.abort();
    parser.destroy();
    // Nothing that is under way leaves anything behind.
    await pending?.allowed.catch(() => undefined);
    await written?.catch(() => undefined);
    throw error;
  } finally {
    request.unpipe(parser);
    for (const stop of stopWatching) stop();
  }
}

function openParser(request: IncomingMessage): InstanceType<typeof Busboy> {
  try {
    return new Busboy({
      headers: request.headers as IncomingMessage['headers'] & { 'content-type': string },
      limits: {
        fileSize: MAX_FILE_BYTES,
        fieldSize: MAX_FIELD_BYTES,
        files: 1,
        fields: 2,
        parts: 3,
        headerPairs: 20,
        headerSize: 8 * 1024,
      },
    });
  } catch {
    throw malformed('content-type', 'must be multipart/form-data with a boundary.');
  }
}

function parseJson(name: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw malformed(name, 'must be a field with a JSON object, before the file.');
}

/** One part, which goes to one place. */
function readMap(map: Record<string, unknown>): { part: string; path: string } {
  const entries = Object.entries(map);
  const [part, paths] = entries[0] ?? [];
  if (entries.length !== 1 || part === undefined || !Array.isArray(paths) || paths.length !== 1) {
    throw malformed('map', 'must name one part, with a list of one path: {"0": ["variables.input.file"]}.');
  }
  return { part, path: String(paths[0]) };
}

/** Puts a file where the map says: variables.input.file. Only places that are there and null are filled. */
function setAt(params: Record<string, unknown>, path: string, file: Upload): void {
  const keys = path.split('.');
  const last = keys.pop()!;
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null;
  let holder: unknown = params;
  for (const key of keys) {
    holder = isObject(holder) && Object.hasOwn(holder, key) ? holder[key] : undefined;
  }
  if (!isObject(holder) || !Object.hasOwn(holder, last) || keys[0] !== 'variables' || holder[last] !== null) {
    throw malformed('map', `names ${path}, which operations does not hold as null.`);
  }
  holder[last] = file;
}

function notWhole(): BadUserInputError {
  return malformed('body', 'is not a whole multipart/form-data body.');
}

function tooLarge(): BadUserInputError {
  return malformed('file', `is larger than ${MAX_FILE_BYTES / 1024 ** 3} GiB.`);
}

function malformed(field: string, message: string): BadUserInputError {
  return new BadUserInputError([{ path: [field], message }]);
}
