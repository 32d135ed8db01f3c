import { readdir, readlink } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createSpill, type Spill } from '../src/sync/spill.ts';

const RECORD_BYTES = 64;

function put(spill: Spill, partition: number, text: string) {
  const { buffer, start } = spill.reserve(partition, RECORD_BYTES);
  buffer.write(text.padEnd(RECORD_BYTES), start);
  spill.commit(partition, RECORD_BYTES);
}

async function readAll(spill: Spill): Promise<string[]> {
  const records: string[] = [];
  for (let partition = 0; partition < spill.partitions; partition++) {
    const bytes = await spill.read(partition);
    for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
      records.push(bytes.toString('utf8', at, at + RECORD_BYTES).trim());
    }
  }
  return records.sort();
}

/** Linux tells which files a process has open. */
async function openSpillFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return targets.filter((target) => target.includes('cohort-sync-') && target.endsWith('(deleted)'));
}

test('what several writers add and flush at once is all there, and no file stays open', async () => {
  const spill = createSpill(4);
  const flushing: Promise<void>[] = [];
  for (let index = 0; index < 5_000; index++) {
    put(spill, index % 4, `record-${index}`);
    // Nobody waits for the one before, as pages that arrive at the same time do not.
    if (index % 1_000 === 0) flushing.push(spill.flush());
  }
  await Promise.all(flushing);
  expect(await openSpillFiles()).toHaveLength(1);
  const expected = Array.from({ length: 5_000 }, (_, index) => `record-${index}`).sort();
  expect(await readAll(spill)).toEqual(expected);
  await spill.close();
  expect(await openSpillFiles()).toEqual([]);
});

test('a few records are read back without ever having been flushed', async () => {
  const spill = createSpill(1);
  put(spill, 0, 'b');
  put(spill, 0, 'a');
  expect(await readAll(spill)).toEqual(['a', 'b']);
  await spill.close();
});
