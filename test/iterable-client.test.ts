import { describe, expect, test } from 'vitest';
import { createIterableClient } from '../src/sync/iterable/client.ts';
import {
  BatchTooLargeError,
  ConflictError,
  InvalidListError,
  RateLimitedError,
  UnauthorizedError,
  UnavailableError,
  UnexpectedAnswerError,
} from '../src/sync/iterable/errors.ts';
import { startBareSandbox } from './support/bare-sandbox.ts';

async function startWithClient(options: { timeoutMs?: number } = {}) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
  const apiKey = project.addKey();
  const baseUrl = bare.sandbox.env.ITERABLE_BASE_URL_US!;
  return {
    ...bare,
    project,
    ours: createIterableClient({ apiKey, baseUrl, ...options }),
  };
}

describe('our client tells failures apart:', () => {
  const body = (msg: string, code: string, params: unknown = null) => ({ msg, code, params });
  const list = '1';
  test.each([
    {
      title: '401',
      reply: { status: 401, body: body('Invalid API key', 'Success') },
      kind: UnauthorizedError,
    },
    { title: '403', reply: { status: 403, body: body('No', 'Forbidden') }, kind: UnauthorizedError },
    { title: '408', reply: { status: 408 }, kind: UnavailableError },
    { title: '429', reply: { status: 429, body: body('x', 'RateLimitExceeded') }, kind: RateLimitedError },
    { title: '503', reply: { status: 503, body: '<html>' }, kind: UnavailableError },
    { title: '413', reply: { status: 413, body: '<html>' }, kind: BatchTooLargeError },
    {
      title: 'a batch that is too large',
      reply: { status: 400, body: body('x', 'BatchTooLarge') },
      kind: BatchTooLargeError,
    },
    {
      title: 'a list that is not there',
      reply: { status: 400, body: body('error.lists.invalidListId(1)', 'Success') },
      kind: InvalidListError,
    },
    {
      title: 'a list that is in use',
      reply: { status: 409, body: body('x', 'Conflict') },
      kind: ConflictError,
    },
    {
      title: 'any other 400',
      reply: { status: 400, body: body('x', 'BadParams') },
      kind: UnexpectedAnswerError,
    },
    { title: 'HTML on 404', reply: { status: 404, body: '<html>' }, kind: UnexpectedAnswerError },
    { title: 'HTML on 200', reply: { status: 200, body: '<html>' }, kind: UnavailableError },
    {
      title: 'JSON of another shape on 200',
      reply: { status: 200, body: { successCount: '3' } },
      kind: UnexpectedAnswerError,
    },
  ])('$title', async ({ reply, kind }) => {
    await using world = await startWithClient();
    world.sandbox.faults.add({ operation: 'iterable', reply });
    await expect(world.ours.subscribe(list, [{ email: 'a@example.com' }])).rejects.toBeInstanceOf(kind);
  });

  test.each([
    { title: 'a connection that breaks', fault: { drop: 'before' as const } },
    { title: 'an answer that breaks off', fault: { drop: 'middle' as const } },
    { title: 'an answer that never comes', fault: { hang: true }, timeoutMs: 300 },
  ])('$title', async ({ fault, timeoutMs = 30_000 }) => {
    await using world = await startWithClient({ timeoutMs });
    world.sandbox.faults.add({ operation: 'iterable', ...fault });
    await expect(world.ours.listLists()).rejects.toBeInstanceOf(UnavailableError);
  });

  test('and quotes neither a key nor a person', async () => {
    await using world = await startWithClient();
    const msg = `User ann@example.com and key ${'ab'.repeat(16)} do not fit`;
    world.sandbox.faults.add({ operation: 'iterable', reply: { status: 400, body: body(msg, 'BadParams') } });
    const error = await world.ours.listLists().catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      message: 'Iterable answered 400 (User [e-mail] and key [key] do not fit).',
    });
  });
});
