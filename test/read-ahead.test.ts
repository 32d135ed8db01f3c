import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readAhead } from '../src/sync/read-ahead.ts';

/** Gives these one after the other; an Error is thrown. */
function loaderOf(answers: (number | Error)[]) {
  const asked: number[] = [];
  const loadNext = async () => {
    const answer = answers[asked.length];
    asked.push(asked.length);
    await setImmediate();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, loadNext };
}

test('the next one is asked for before the last one has been used', async () => {
  const { asked, loadNext } = loaderOf([10, 20]);
  const askedBy: number[] = [];
  const given: number[] = [];
  for await (const one of readAhead(loadNext)) {
    given.push(one);
    askedBy.push(asked.length);
  }
  expect(given).toEqual([10, 20]);
  expect(askedBy).toEqual([2, 3]);
});

test('what fails to load is thrown where it would have been used', async () => {
  const { loadNext } = loaderOf([10, new Error('gone')]);
  const given: number[] = [];
  const reading = (async () => {
    for await (const one of readAhead(loadNext)) given.push(one);
  })();
  await expect(reading).rejects.toThrow('gone');
  expect(given).toEqual([10]);
});

test('whoever gives up is not brought down by what was still on its way', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  const before = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
  try {
    const { loadNext } = loaderOf([10, new Error('gone')]);
    const reading = (async () => {
      for await (const one of readAhead(loadNext)) throw new Error(`cannot use ${one}`);
    })();
    await expect(reading).rejects.toThrow('cannot use 10');
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    expect(unhandled).toEqual([]);
  } finally {
    process.removeListener('unhandledRejection', note);
    for (const listener of before) process.on('unhandledRejection', listener);
  }
});
