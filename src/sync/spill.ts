import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What may wait in memory over all partitions before it goes to the file. */
const MAX_BUFFERED_BYTES = 2 * 1024 * 1024;
const MIN_CHUNK_BYTES = 32 * 1024;

interface Chunk {
  offset: number;
  length: number;
}

/** Where the next record of a partition goes. */
interface Room {
  readonly buffer: Buffer;
  readonly start: number;
}

interface Partition {
  buffer: Buffer;
  /** The end of what waits in the buffer. */
  start: number;
  written: Chunk[];
  bytes: number;
}

/**
 * Bytes by partition, in memory while they are few and in one nameless temporary file when they are many; so the
 * memory of a run does not grow with its cohort. The file is unlinked as soon as it is open: nothing of it stays
 * behind, whatever becomes of the process. Several may add and flush at once; who reads or closes comes after them.
 */
export interface Spill {
  readonly partitions: number;
  /** Room for one record of at most this many bytes; commit() says how many were used. */
  reserve(partition: number, bytes: number): Room;
  commit(partition: number, bytes: number): void;
  /** True when flush() should be awaited before more is added. */
  isFull(): boolean;
  flush(): Promise<void>;
  /** Everything of one partition, in the order in which it came, aligned for numbers. It stays as it is until the next read. */
  read(partition: number): Promise<Buffer>;
  close(): Promise<void>;
}

export function createSpill(partitions: number): Spill {
  const chunkBytes = Math.max(MIN_CHUNK_BYTES, Math.floor(MAX_BUFFERED_BYTES / partitions / 2));
  const parts: Partition[] = Array.from({ length: partitions }, () => ({
    buffer: Buffer.alloc(0),
    start: 0,
    written: [],
    bytes: 0,
  }));
  /** Opened once, by whoever flushes first. */
  let opening: Promise<FileHandle> | undefined;
  let fileEnd = 0;
  let buffered = 0;
  /** Used again and again, because new memory is expensive. */
  let spare = Buffer.alloc(0);
  let reading = Buffer.alloc(0);

  function reserve(partition: number, bytes: number): Room {
    const part = parts[partition]!;
    if (part.start + bytes > part.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(chunkBytes, part.buffer.length * 2, part.start + bytes));
      part.buffer.copy(grown, 0, 0, part.start);
      part.buffer = grown;
    }
    return part;
  }

  function commit(partition: number, bytes: number) {
    const part = parts[partition]!;
    part.start += bytes;
    part.bytes += bytes;
    buffered += bytes;
  }

  async function flush() {
    opening ??= openNamelessFile();
    const file = await opening;
    const pending = parts.filter((part) => part.start > 0);
    const start = fileEnd;
    const size = pending.reduce((sum, part) => sum + part.start, 0);
    const all = spare.length < size ? Buffer.allocUnsafe(size) : spare;
    // Others may flush meanwhile.
    spare = Buffer.alloc(0);
    let offset = start;
    for (const part of pending) {
      part.buffer.copy(all, offset - start, 0, part.start);
      part.written.push({ offset, length: part.start });
      offset += part.start;
      part.start = 0;
      if (part.buffer.length > chunkBytes * 2) part.buffer = Buffer.alloc(0);
    }
    fileEnd = offset;
    buffered = 0;
    for (let done = 0; done < size; ) {
      done += (await file.write(all, done, size - done, start + done)).bytesWritten;
    }
    spare = all;
  }

  async function read(partition: number) {
    const part = parts[partition]!;
    if (reading.length < part.bytes) reading = Buffer.allocUnsafeSlow(part.bytes);
    const all = reading.subarray(0, part.bytes);
    const file = await opening;
    let at = 0;
    for (const chunk of part.written) {
      for (let done = 0; done < chunk.length; ) {
        const { bytesRead } = await file!.read(all, at + done, chunk.length - done, chunk.offset + done);
        if (bytesRead === 0) throw new Error('The spill file ended early.');
        done += bytesRead;
      }
      at += chunk.length;
    }
    part.buffer.copy(all, at, 0, part.start);
    return all;
  }

  return {
    partitions,
    reserve,
    commit,
    isFull: () => buffered >= MAX_BUFFERED_BYTES,
    flush,
    read,
    close: async () => {
      const file = await opening?.catch(() => undefined);
      opening = undefined;
      await file?.close();
      for (const part of parts) part.buffer = Buffer.alloc(0);
      spare = Buffer.alloc(0);
      reading = Buffer.alloc(0);
    },
  };
}

async function openNamelessFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `cohort-sync-${randomUUID()}`);
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  await unlink(path);
  return file;
}
