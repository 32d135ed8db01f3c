import { readdirSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createSpill, type Spill } from '../src/sync/spill.ts';

const PARTITIONS = 4;

async function addPage(spill: Spill, page: number) {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { buffer, start } = spill.reserve(partition, 1);
    buffer[start] = page;
    spill.commit(partition, 1);
  }
  await spill.flush();
}

/** As Linux shows the descriptors of this process. */
function countOpenSpills(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('cohort-sync-');
    } catch {
      // The descriptor that the listing itself was read through.
      return false;
    }
  }).length;
}

test('pages that come at the same moment share one file, which closing gives back', async () => {
  const spill = createSpill(PARTITIONS);
  await Promise.all([1, 2, 3, 4, 5].map((page) => addPage(spill, page)));
  expect(countOpenSpills()).toBe(1);
  await spill.close();
  expect(countOpenSpills()).toBe(0);
});

test('everything that was added comes back, in memory or in the file', async () => {
  const spill = createSpill(PARTITIONS);
  await Promise.all([1, 2, 3].map((page) => addPage(spill, page)));
  const { buffer, start } = spill.reserve(0, 1);
  buffer[start] = 4;
  spill.commit(0, 1);
  expect([...(await spill.read(0))].sort()).toEqual([1, 2, 3, 4]);
  expect([...(await spill.read(1))].sort()).toEqual([1, 2, 3]);
  await spill.close();
});
