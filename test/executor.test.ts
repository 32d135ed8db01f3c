import { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema } from 'graphql';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { Context, Viewer } from '../src/context.ts';
import { createExecutionSlots } from '../src/server/execution-slots.ts';
import { createExecutor } from '../src/server/executor.ts';
import { createOperations } from '../src/server/operations.ts';

const viewer: Viewer = {
  tokenId: '1',
  tokenName: 'one',
  role: 'OWNER',
  project: { id: '1', name: 'one', isFirst: true },
};
const stays = { onLeft: () => () => undefined };

/** One field that goes on until its operation is ended. */
function endless() {
  const signals: AbortSignal[] = [];
  const field = {
    type: new GraphQLNonNull(GraphQLInt),
    resolve: (_root: unknown, _args: unknown, { signal }: { signal: AbortSignal }) =>
      new Promise((_resolve, reject) => {
        signals.push(signal);
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  };
  const fast = { type: GraphQLInt, resolve: () => 1 };
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: { field } }),
    mutation: new GraphQLObjectType({
      name: 'Mutation',
      fields: { fast, field: { ...field, type: GraphQLInt } },
    }),
  });
  const executor = createExecutor({
    schema,
    allowIntrospection: true,
    logger: pino({ level: 'silent' }),
    createContext: (_viewer, signal) => ({ signal }) as unknown as Context,
    deadlines: { queryMs: 50, mutationMs: 50 },
  });
  const operations = createOperations({ schema, compilerSchema: schema, allowIntrospection: true });
  return { executor, operations, signals };
}

test.each([1, 5])(
  'a query that takes too long is refused at its deadline, at its use number %i',
  async (uses) => {
    const { executor, operations, signals } = endless();
    const operation = operations.prepare('{ field }', undefined);
    for (let use = 0; use < uses; use++) {
      await expect(executor.run({ viewer, operation, variables: {} }, stays)).rejects.toMatchObject({
        code: 'RATE_LIMITED',
        status: 503,
        message: expect.stringContaining('took longer than'),
      });
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual(Array(uses).fill(true));
  },
);

test('what a mutation did before its deadline is told', async () => {
  const { executor, operations } = endless();
  const operation = operations.prepare('mutation { fast field }', undefined);
  const { result } = await executor.run({ viewer, operation, variables: {} }, stays);
  expect(result.data).toEqual({ fast: 1, field: null });
  expect(result.errors).toMatchObject([{ path: ['field'], extensions: { code: 'RATE_LIMITED' } }]);
});

test('keys take turns, no key has more than its share, and what is larger than a share runs alone', async () => {
  const slots = createExecutionSlots({ maxCost: 10, maxCostPerKey: 5, maxWaitingPerKey: 3, maxWaiting: 10 });
  const { signal } = new AbortController();
  const order: string[] = [];
  const take = async (key: string, cost: number) => {
    const free = await slots.acquire({ key, cost, signal });
    order.push(`${key}${cost}`);
    return free;
  };
  const first = await take('a', 5);
  const waiting = [take('a', 4), take('a', 3)];
  const other = await take('b', 5);
  const large = take('b', 40);
  expect(order).toEqual(['a5', 'b5']);
  first();
  const second = await waiting[0]!;
  // Nothing passes the large one, whose turn it is.
  other();
  second();
  (await large)();
  (await waiting[1]!)();
  expect(order).toEqual(['a5', 'b5', 'a4', 'b40', 'a3']);
});

test('too many that wait are refused, and one that leaves makes room', async () => {
  const slots = createExecutionSlots({ maxCost: 1, maxCostPerKey: 1, maxWaitingPerKey: 1, maxWaiting: 2 });
  const leaving = new AbortController();
  const { signal } = new AbortController();
  const free = await slots.acquire({ key: 'a', cost: 1, signal });
  const left = slots.acquire({ key: 'a', cost: 1, signal: leaving.signal });
  await expect(slots.acquire({ key: 'a', cost: 1, signal })).rejects.toMatchObject({ status: 429 });
  const other = slots.acquire({ key: 'b', cost: 1, signal });
  await expect(slots.acquire({ key: 'c', cost: 1, signal })).rejects.toMatchObject({ status: 503 });
  leaving.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  free();
  (await other)();
});
