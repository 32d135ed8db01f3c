import { promisify } from 'node:util';
import mixpanel from 'mixpanel';
import { expect, test } from 'vitest';
import type { MixpanelProject } from '../../sandbox/mixpanel/project.ts';
import { startBareSandbox } from '../support/bare-sandbox.ts';
import { startTlsFront } from '../support/tls-front.ts';

/** The clock of the sandbox stands there. */
const NOW = Date.parse('2030-01-01T00:00:00Z');
const silent = () => undefined;
const logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** Its types know nothing of the key, which is what opens /import without TLS. */
async function startTracking(settings: { key?: string } = {}) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.mixpanel.addProject();
  const url = bare.sandbox.env.MIXPANEL_INGESTION_BASE_URL_US!;
  const config = {
    host: url.replace('http://', ''),
    protocol: 'http',
    logger,
    key: project.secret,
    ...settings,
  };
  return { ...bare, project, url, client: mixpanel.init(project.token, config) };
}

/** Everybody with a profile, as the Query API shows them. */
async function readProfiles(baseUrl: string, { secret }: MixpanelProject, form: Record<string, string> = {}) {
  const response = await fetch(`${baseUrl}/api/query/engage`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${secret}:`).toString('base64')}` },
    body: new URLSearchParams(form),
  });
  return ((await response.json()) as { results: unknown[] }).results;
}

/** Calls a method that tells its end to a callback. */
const call = (act: (done: (error: unknown) => void) => void) => promisify(act)();

test("mixpanel's own client tracks events, one by one and in batches", async () => {
  await using world = await startTracking();
  const { client, project } = world;
  await call((done) => client.track('Opened', { distinct_id: 'u-1', colour: 'blå+?' }, done));
  await call((done) =>
    client.track_batch(
      [
        { event: 'Clicked', properties: { distinct_id: 'u-1', text: '>>>???~~~' } },
        { event: 'Clicked', properties: { distinct_id: 'u-2', time: new Date(NOW - 1000) } },
      ],
      done,
    ),
  );
  expect(project.imported.all).toMatchObject([
    { event: 'Opened', distinctId: 'u-1', time: NOW, properties: { colour: 'blå+?' } },
    { event: 'Clicked', distinctId: 'u-1', time: NOW, properties: { text: '>>>???~~~' } },
    { event: 'Clicked', distinctId: 'u-2', time: NOW - 1000 },
  ]);
  expect(world.sandbox.calls.of('mixpanel.track').map(({ events }) => events)).toEqual([1, 2]);
});

test("mixpanel's own client imports old events with the project's key, and is told when it is wrong", async () => {
  await using world = await startTracking();
  const time = new Date('2020-02-29T12:00:00Z');
  await call((done) => world.client.import('Opened', time, { distinct_id: 'u-1' }, done));
  const events = Array.from({ length: 120 }, (_, index) => ({
    event: 'Clicked',
    properties: { distinct_id: `u-${index}`, time },
  }));
  await call((done) => world.client.import_batch(events, done));
  const { imported } = world.project;
  expect(imported.all[0]).toMatchObject({ event: 'Opened', distinctId: 'u-1', time: time.getTime() });
  expect(imported.distinct()).toHaveLength(121);
  await using stranger = await startTracking({ key: 'wrong' });
  await expect(call((done) => stranger.client.import('Opened', time, done))).rejects.toThrow('Unauthorized');
  expect(stranger.project.imported.accepted).toBe(0);
});

test.each(['account', 'secret'] as const)(
  "mixpanel's own client imports over TLS with the %s of a project",
  async (way) => {
    await using world = await startTracking();
    await using front = await startTlsFront(world.url);
    const { project } = world;
    const { username, secret } = project.addServiceAccount();
    const client = mixpanel.init(project.token, {
      host: front.host,
      protocol: 'https',
      keepAlive: false,
      logger,
      ...(way === 'secret'
        ? { secret: project.secret }
        : { credentials: new mixpanel.ServiceAccountCredentials(username, secret, project.id) }),
    });
    await call((done) => client.import('Opened', new Date(NOW - 1000), { distinct_id: 'u-1' }, done));
    expect(project.imported.all).toMatchObject([{ event: 'Opened', distinctId: 'u-1', time: NOW - 1000 }]);
  },
);

test("what mixpanel's own client writes of people and groups is what queries show", async () => {
  await using world = await startTracking();
  const { client, project, sandbox } = world;
  const { id } = project.addCohort({
    name: 'People',
    members: [{ distinctId: 'u-1', properties: { $email: 'a@example.com', plan: 'free' } }],
  });
  const { people, groups } = client;
  await call((done) => people.set('u-1', { plan: 'pro', tags: ['a'] }, done));
  await call((done) => people.set_once('u-1', { plan: 'gone', since: 2026 }, done));
  await call((done) => people.increment('u-1', 'visits', 2, done));
  await call((done) => people.increment('u-1', { visits: 1 }, done));
  await call((done) => people.append('u-1', { tags: 'b' }, done));
  await call((done) => people.union('u-1', { tags: ['b', 'c'] }, done));
  await call((done) => people.remove('u-1', { tags: 'a' }, done));
  await call((done) => people.set('u-2', { $email: 'b@example.com', plan: 'free' }, done));
  await call((done) => people.unset('u-2', 'plan', done));
  await call((done) => groups.set('company', 'acme', { seats: 7 }, done));
  const first = {
    $distinct_id: 'u-1',
    $properties: { $email: 'a@example.com', plan: 'pro', tags: ['b', 'c'], since: 2026, visits: 3 },
  };
  const query = (form?: Record<string, string>) =>
    readProfiles(sandbox.env.MIXPANEL_BASE_URL_US!, project, form);
  expect(await query()).toEqual([first, { $distinct_id: 'u-2', $properties: { $email: 'b@example.com' } }]);
  expect(await query({ filter_by_cohort: JSON.stringify({ id }) })).toEqual([first]);
  expect(await query({ data_group_id: '12345' })).toEqual([
    { $distinct_id: 'acme', $properties: { seats: 7 } },
  ]);
  await call((done) => people.delete_user('u-1', done));
  expect(await query()).toMatchObject([{ $distinct_id: 'u-2' }]);
  expect(await query({ filter_by_cohort: JSON.stringify({ id }) })).toEqual([
    { $distinct_id: 'u-1', $properties: {} },
  ]);
});
