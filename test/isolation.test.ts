import type { GraphQLInterfaceType } from 'graphql';
import { expect, test } from 'vitest';
import { decodeId, encodeId } from '../src/schema/global-id.ts';
import { buildSchema } from '../src/schema/schema.ts';
import type { ApiClient } from './support/api-client.ts';
import { type Furnished, furnish, untilRunIsOver } from './support/furnish.ts';
import { createEventSender, untilCarried } from './support/iterable-events.ts';
import {
  callOf,
  idPathsOf,
  type RootField,
  rootFieldsOf,
  sendCall,
  shortSelectionOf,
  wholeSelectionOf,
} from './support/schema-calls.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeProject } from './support/tokens.ts';

const schema = buildSchema();
const withIds = rootFieldsOf(schema).flatMap((root) => idPathsOf(root).map((path) => ({ root, path })));

interface Tenant {
  api: ApiClient;
  mark: string;
  own: Furnished;
}

/** Two projects of one deployment, each with one row of everything. */
async function startWithTwoProjects(): Promise<TestApp & { ours: Tenant; theirs: Tenant }> {
  const app = await startTestApp();
  const { api } = await makeProject(app, 'Project theirmark');
  const ours = { api: app.api, mark: 'ourmark', own: await furnish(app, app.api, 'ourmark') };
  const theirs = { api, mark: 'theirmark', own: await furnish(app, api, 'theirmark') };
  for (const tenant of [ours, theirs]) {
    await sendEvent(app, tenant, 'first');
    // From then on nothing of it changes.
    await untilCarried(tenant, '2030-01');
  }
  return Object.assign(app, { ours, theirs });
}

async function sendEvent(app: TestApp, { api, mark }: Tenant, person: string): Promise<void> {
  const { send } = await createEventSender(app, api);
  const dataFields = { campaignId: 1, campaignName: `Campaign ${mark}` };
  await send({ email: `${person}@${mark}.example.com`, eventName: 'emailOpen', dataFields });
}

/** The whole answer, as far as a caller can tell one from another; of a subscription its first value. */
async function answerTo(api: ApiClient, root: RootField, path: string, id: string): Promise<string> {
  const selection = root.kind === 'query' ? wholeSelectionOf(root.field.type) : shortSelectionOf(root);
  const call = callOf(root, { values: { [path]: id }, selection });
  if (root.kind !== 'subscription') return JSON.stringify(await sendCall(api, call));
  const client = api.webSocket();
  const { value } = await client.iterate({ query: call.query, variables: call.variables }).next();
  await client.dispose();
  return JSON.stringify(value);
}

/** An id as this one that nothing has ever had: a row, or a project, that does not exist. */
function neverGiven(id: string): string {
  const decoded = decodeId(id);
  return encodeId(decoded.typename, decoded.id.replace(/^\d+/, '424242'));
}

/** Everything that a project is told by every query, with its own ids where ids are asked for. */
async function readEverything({ api, own, mark }: Tenant): Promise<string> {
  const answers: unknown[] = [];
  for (const root of rootFieldsOf(schema, 'query')) {
    const selection = wholeSelectionOf(root.field.type);
    const paths = idPathsOf(root);
    const known = root.name === 'member' ? { email: `first@${mark}.example.com` } : {};
    for (const id of paths.length === 0 ? [undefined] : Object.values(own.ids)) {
      const values = { ...known, ...Object.fromEntries(paths.map((path) => [path, id])) };
      const { data, errors } = await sendCall(api, callOf(root, { values, selection }));
      expect([root.name, errors]).toEqual([root.name, undefined]);
      answers.push(data);
    }
  }
  return JSON.stringify(answers);
}

function expectNothingOf(stranger: Tenant, text: string) {
  for (const sign of [stranger.mark, ...Object.values(stranger.own.ids)]) expect(text).not.toContain(sign);
}

test('wherever an id is taken, one of another project is answered as one that never was, and nothing of it changes', {
  timeout: 120_000,
}, async () => {
  await using app = await startWithTwoProjects();
  const { ours, theirs } = app;
  const before = await readEverything(ours);
  for (const { root, path } of withIds) {
    const unknown = await answerTo(theirs.api, root, path, 'bm8gaWQ');
    expect([root.name, unknown.includes('"NOT_FOUND"')]).toEqual([root.name, root.kind !== 'query']);
    const foreign = Object.entries(ours.own.ids).flatMap(([type, id]) => [
      { place: `${root.name}(${path}) given a foreign ${type}`, id },
      { place: `${root.name}(${path}) given no ${type}`, id: neverGiven(id) },
    ]);
    const answers = await Promise.all(
      foreign.map(async ({ place, id }) => [place, await answerTo(theirs.api, root, path, id)]),
    );
    expect(answers).toEqual(foreign.map(({ place }) => [place, unknown]));
  }
  expect(await readEverything(ours)).toBe(before);
});

test('wherever an id is taken, one of the project itself is found', { timeout: 120_000 }, async () => {
  await using app = await startWithTwoProjects();
  const { api, own } = app.theirs;
  const useless: string[] = [];
  for (const { root, path } of withIds) {
    const unknown = await answerTo(api, root, path, 'bm8gaWQ');
    const answers: string[] = [];
    for (const id of Object.values(own.ids)) answers.push(await answerTo(api, root, path, id));
    if (answers.every((answer) => answer === unknown)) useless.push(`${root.kind} ${root.name}(${path})`);
  }
  expect(withIds.length).toBeGreaterThan(12);
  expect(useless).toEqual([]);
});

test('whatever is an object of its own is loaded again by its id', async () => {
  await using app = await startTestApp();
  const { ids } = await furnish(app, app.api, 'mark');
  const types = schema.getImplementations(schema.getType('Node') as GraphQLInterfaceType).objects;
  expect(Object.keys(ids).sort()).toEqual(types.map(({ name }) => name).sort());
  for (const [type, id] of Object.entries(ids)) {
    const { node } = await app.api.query('query ($id: ID!) { node(id: $id) { __typename id } }', { id });
    expect(node).toEqual({ __typename: type, id });
  }
});

test('no query tells anything of another project, however deep it asks', async () => {
  await using app = await startWithTwoProjects();
  const { ours, theirs } = app;
  const ourStory = await readEverything(ours);
  const theirStory = await readEverything(theirs);
  for (const id of Object.values(ours.own.ids)) expect(ourStory).toContain(id);
  expect(ourStory).toContain('first@ourmark.example.com');
  expect(theirStory).toContain('first@theirmark.example.com');
  expect(ourStory).toContain('Campaign ourmark');
  expect(theirStory).toContain('Campaign theirmark');
  expectNothingOf(theirs, ourStory);
  expectNothingOf(ours, theirStory);
});

test('no subscription delivers anything of another project', async () => {
  await using app = await startWithTwoProjects();
  const { ours, theirs } = app;
  const lastRunOf = async ({ api, own }: Tenant) => {
    const { runExport } = await api.query(`mutation ($id: ID!) { runExport(exportId: $id) { id } }`, {
      id: own.ids.Export,
    });
    await untilRunIsOver(api, runExport.id);
    return runExport.id as string;
  };
  const disconnect = async ({ api }: Tenant) => {
    const values = api.sse('subscription { integrationUpdated { status } }');
    await values.next();
    await api.query('mutation { disconnectIntegration(input: {}) { id } }');
    for await (const { integrationUpdated } of values)
      if (integrationUpdated.status === 'DISCONNECTED') break;
  };

  // By what each subscription is known to have come to the end of what happens below.
  let lastRunId = '';
  const isLast: Record<string, (text: string) => boolean> = {
    syncProgress: () => true,
    syncRunUpdated: (text) => text.includes(lastRunId) && text.includes('"phase":"DONE"'),
    exportUpdated: (text) => text.includes('"status":"STOPPED"'),
    integrationUpdated: (text) => text.includes('"status":"DISCONNECTED"'),
    messagingUsageUpdated: (text) => text.includes('"eventsReceived":2'),
  };
  const subscriptions = rootFieldsOf(schema, 'subscription');
  expect(subscriptions.map((root) => root.name).sort()).toEqual(Object.keys(isLast).sort());

  const client = theirs.api.webSocket();
  const watchers = subscriptions.map((root) => {
    const values = root.field.args.some((arg) => arg.name === 'runId')
      ? { runId: theirs.own.ids.SyncRun }
      : {};
    const { query, variables } = callOf(root, { values, selection: wholeSelectionOf(root.field.type) });
    return { root, stream: client.iterate({ query, variables }) };
  });
  const told = await Promise.all(
    watchers.map(async ({ stream }) => [JSON.stringify((await stream.next()).value)]),
  );
  await sendEvent(app, ours, 'second');
  await sendEvent(app, theirs, 'second');
  await lastRunOf(ours);
  await disconnect(ours);
  lastRunId = await lastRunOf(theirs);
  await disconnect(theirs);
  for (const [index, { root, stream }] of watchers.entries()) {
    const texts = told[index]!;
    while (!isLast[root.name]!(texts.at(-1)!)) texts.push(JSON.stringify((await stream.next()).value));
  }
  await client.dispose();
  const everything = told.flat().join('\n');
  expect(everything).toContain(theirs.own.ids.Export);
  expect(everything).not.toContain('"errors"');
  expectNothingOf(ours, everything);
});
