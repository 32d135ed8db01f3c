import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { type Broadcast, createBroadcast } from '../src/sync/broadcast.ts';

interface Snapshot {
  of?: string;
  revision: number;
  isLast?: boolean;
}

const KIND = {
  keyOf: ({ of = 'run' }: Snapshot) => of,
  isNews: (one: Snapshot, before: Snapshot) => one.revision > before.revision,
  isLast: ({ isLast = false }: Snapshot) => isLast,
  minIntervalMs: 0,
};

function watch(broadcast: Broadcast<Snapshot>) {
  const mailbox = broadcast.watch();
  const seen: number[] = [];
  const ended = new Promise<void>((end) => {
    mailbox.tellEach({ tell: ({ revision }) => void seen.push(revision), end });
  });
  return { mailbox, seen, ended };
}

/** Of a thousand, a part has been told the first snapshot. */
async function beginToTell(watchers: number) {
  const onEmpty = vi.fn();
  const broadcast = createBroadcast<Snapshot>(KIND, onEmpty);
  const crowd = Array.from({ length: watchers }, () => watch(broadcast));
  broadcast.tell({ revision: 1 });
  await nextTurn();
  const told = crowd.filter(({ seen }) => seen.length > 0).length;
  expect(told).toBeGreaterThan(0);
  expect(told).toBeLessThan(watchers);
  return { broadcast, crowd, told, onEmpty };
}

async function untilQuiet() {
  for (let turn = 0; turn < 50; turn++) await nextTurn();
}

test('a newer snapshot goes to everybody, and takes the place of the older one for those who have not been told', async () => {
  const { broadcast, crowd, told } = await beginToTell(1_000);
  broadcast.tell({ revision: 2 });
  await untilQuiet();
  const both = crowd.filter(({ seen }) => seen.join() === '1,2').length;
  const newer = crowd.filter(({ seen }) => seen.join() === '2').length;
  expect({ both, newer }).toEqual({ both: told, newer: 1_000 - told });
});

test('who comes or goes while it is told costs nobody a snapshot', async () => {
  const { broadcast, crowd, onEmpty } = await beginToTell(1_000);
  broadcast.tell({ revision: 2 });
  const late = Array.from({ length: 300 }, () => watch(broadcast));
  for (const { mailbox } of crowd.slice(100, 150)) await mailbox.return?.();
  broadcast.tell({ revision: 3, isLast: true });
  const later = Array.from({ length: 300 }, () => watch(broadcast));
  await untilQuiet();
  const stayed = [...crowd.slice(0, 100), ...crowd.slice(150), ...late, ...later];
  expect(stayed.filter(({ seen }) => seen.at(-1) !== 3)).toEqual([]);
  await Promise.all(crowd.map(({ ended }) => ended));
  expect(broadcast.watchers.size).toBe(0);
  expect(onEmpty).toHaveBeenCalledOnce();
});

test('one that was read earlier and comes later takes no place', async () => {
  const { broadcast, crowd } = await beginToTell(1_000);
  broadcast.tell({ revision: 3, isLast: true });
  broadcast.tell({ revision: 2 });
  await untilQuiet();
  expect(crowd.filter(({ seen }) => seen.at(-1) !== 3)).toEqual([]);
  await Promise.all(crowd.map(({ ended }) => ended));
});

test('what is told of two things reaches everybody', async () => {
  const { broadcast, crowd } = await beginToTell(1_000);
  broadcast.tell({ of: 'other', revision: 101 });
  broadcast.tell({ revision: 2 });
  await untilQuiet();
  expect(crowd.filter(({ seen }) => !(seen.includes(2) && seen.includes(101)))).toEqual([]);
});
