import { expect, test } from 'vitest';
import { createSeats, type Seats } from '../src/sync/seats.ts';

interface Sitter {
  name: string;
  /** Resolves when it has left. */
  over: Promise<void>;
  leave(): void;
  halt: AbortController;
}

/** Runs in and before the seats; seated tells who has one, in the order in which they got them. */
function createRoom() {
  const seats: Seats = createSeats();
  const seated: string[] = [];
  const openSeat = (projectId: string, halt = new AbortController()) => ({
    halt,
    seat: seats.open(projectId, halt.signal),
  });
  function sit(name: string, projectId: string): Sitter {
    const { halt, seat } = openSeat(projectId);
    const leaving = Promise.withResolvers<void>();
    const over = seat.hold(async () => {
      seated.push(name);
      await leaving.promise;
      seated.splice(seated.indexOf(name), 1);
    });
    return { name, over, leave: leaving.resolve, halt };
  }
  return { seats, seated, sit, openSeat };
}

/** Everything that can happen without waiting for anything has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('four have a seat at a time, and the next one is given in order of arrival', async () => {
  const { seated, sit } = createRoom();
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => sit(name, `project of ${name}`));
  await settled();
  expect(seated).toEqual(['a', 'b', 'c', 'd']);
  all[1]!.leave();
  await all[1]!.over;
  await settled();
  expect(seated).toEqual(['a', 'c', 'd', 'e']);
  for (const one of all) one.leave();
  await Promise.all(all.map((one) => one.over));
  expect(seated).toEqual([]);
});

test('one project never has all the seats', async () => {
  const { seated, sit } = createRoom();
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'a5', 'c1'].map((name) => sit(name, name[0]!));
  await settled();
  expect(seated).toEqual(['a1', 'a2', 'a3', 'b1']);
  all[0]!.leave();
  await all[0]!.over;
  await settled();
  expect(seated).toEqual(['a2', 'a3', 'b1', 'a4']);
  for (const one of all) one.leave();
  await Promise.all(all.map((one) => one.over));
});

test('whoever waits aside leaves the seat to others, and is the first to get one back', async () => {
  const { seated, sit, openSeat } = createRoom();
  const back = Promise.withResolvers<void>();
  const { seat } = openSeat('z');
  const waiting = seat.hold(async () => {
    await seat.aside(() => back.promise);
    seated.push('z');
  });
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => sit(name, name));
  await settled();
  expect(seated).toEqual(['a', 'b', 'c', 'd']);
  back.resolve();
  await settled();
  expect(seated).toEqual(['a', 'b', 'c', 'd']);
  all[0]!.leave();
  await waiting;
  expect(seated.slice(0, 4)).toEqual(['b', 'c', 'd', 'z']);
  for (const one of all) one.leave();
  await Promise.all(all.map((one) => one.over));
});

test('whoever is to end while waiting for a seat is told why, and takes none', async () => {
  const { seated, sit } = createRoom();
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => sit(name, name));
  all[4]!.halt.abort(new Error('cancelled'));
  await expect(all[4]!.over).rejects.toThrow('cancelled');
  all[0]!.leave();
  await all[0]!.over;
  await settled();
  expect(seated).toEqual(['b', 'c', 'd', 'f']);
  for (const one of all) one.leave();
  await Promise.allSettled(all.map((one) => one.over));
});

test('a failure aside is thrown in a seat, and a failure in a seat leaves it', async () => {
  const { seated, sit, openSeat } = createRoom();
  const { seat } = openSeat('z');
  const failing = seat.hold(() =>
    seat.aside(async () => {
      throw new Error('no answer');
    }),
  );
  await expect(failing).rejects.toThrow('no answer');
  const all = ['a', 'b', 'c', 'd'].map((name) => sit(name, name));
  await settled();
  expect(seated).toEqual(['a', 'b', 'c', 'd']);
  for (const one of all) one.leave();
  await Promise.all(all.map((one) => one.over));
});
