import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Broadcast, createBroadcast } from '../src/sync/broadcast.ts';
import { Mailbox } from '../src/sync/mailbox.ts';

interface Snapshot {
  revision: number;
}

function watch(broadcast: Broadcast<Snapshot>) {
  const kind = {
    keyOf: () => 'run',
    isNews: (one: Snapshot, before: Snapshot) => one.revision > before.revision,
    minIntervalMs: 0,
  };
  const mailbox = new Mailbox<Snapshot>(kind, (closed) => broadcast.delete(closed));
  broadcast.add(mailbox);
  const seen: number[] = [];
  const ended = mailbox.tellEach(({ revision }) => void seen.push(revision));
  return { mailbox, seen, ended };
}

/** Of a thousand, a part has been told the first snapshot. */
async function beginToTell(watchers: number) {
  const broadcast = createBroadcast<Snapshot>();
  const crowd = Array.from({ length: watchers }, () => watch(broadcast));
  broadcast.tell('run', { revision: 1 });
  await nextTurn();
  const told = crowd.filter(({ seen }) => seen.length > 0).length;
  expect(told).toBeGreaterThan(0);
  expect(told).toBeLessThan(watchers);
  return { broadcast, crowd, told };
}

async function untilQuiet() {
  for (let turn = 0; turn < 50; turn++) await nextTurn();
}

test('a newer snapshot goes to everybody, and takes the place of the older one for those who have not been told', async () => {
  const { broadcast, crowd, told } = await beginToTell(1_000);
  broadcast.tell('run', { revision: 2 });
  await untilQuiet();
  const both = crowd.filter(({ seen }) => seen.join() === '1,2').length;
  const newer = crowd.filter(({ seen }) => seen.join() === '2').length;
  expect({ both, newer }).toEqual({ both: told, newer: 1_000 - told });
});

test('who comes or goes while it is told costs nobody a snapshot', async () => {
  const { broadcast, crowd } = await beginToTell(1_000);
  broadcast.tell('run', { revision: 2 });
  const late = Array.from({ length: 300 }, () => watch(broadcast));
  for (const { mailbox } of crowd.slice(100, 150)) await mailbox.return?.();
  broadcast.tell('run', { revision: 3 }, { isLast: true });
  const later = Array.from({ length: 300 }, () => watch(broadcast));
  await untilQuiet();
  const stayed = [...crowd.slice(0, 100), ...crowd.slice(150), ...late, ...later];
  expect(stayed.filter(({ seen }) => seen.at(-1) !== 3)).toEqual([]);
  await Promise.all(crowd.map(({ ended }) => ended));
  expect(broadcast.watchers.size).toBe(0);
});

test('things of different keys are told side by side', async () => {
  const { broadcast, crowd } = await beginToTell(1_000);
  const other: number[] = [];
  const kind = {
    keyOf: ({ revision }: Snapshot) => String(revision > 100),
    isNews: (one: Snapshot, before: Snapshot) => one.revision > before.revision,
    minIntervalMs: 0,
  };
  const mailbox = new Mailbox<Snapshot>(kind, () => undefined);
  broadcast.add(mailbox);
  void mailbox.tellEach(({ revision }) => void other.push(revision));
  broadcast.tell('other', { revision: 101 });
  broadcast.tell('run', { revision: 2 });
  await untilQuiet();
  expect(other.toSorted((left, right) => left - right)).toEqual([2, 101]);
  expect(crowd.filter(({ seen }) => seen.at(-1) !== 101)).toEqual([]);
});
