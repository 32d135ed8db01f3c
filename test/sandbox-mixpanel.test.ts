import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../sandbox/start-sandbox.ts';
import { startBareSandbox } from './support/bare-sandbox.ts';
import { people } from './support/people.ts';

async function startWithProject(settings: Parameters<Sandbox['mixpanel']['addProject']>[0] = {}) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.mixpanel.addProject(settings);
  const account = project.addServiceAccount();
  const authorization = `Basic ${Buffer.from(`${account.username}:${account.secret}`).toString('base64')}`;
  async function ask(
    path: string,
    options: { form?: Record<string, string>; headers?: Record<string, string> } = {},
  ) {
    const response = await fetch(`${bare.sandbox.env.MIXPANEL_BASE_URL_US}${path}`, {
      method: 'POST',
      headers: { authorization, ...options.headers },
      body: new URLSearchParams(options.form ?? {}),
    });
    return { status: response.status, json: await response.json() };
  }
  const engage = (form: Record<string, string>) =>
    ask(`/api/query/engage?project_id=${project.id}`, { form });
  return { ...bare, project, account, ask, engage };
}

describe('the sandbox plays Mixpanel:', () => {
  test('cohorts are listed on both paths, group cohorts with their data group', async () => {
    await using world = await startWithProject();
    world.project.addCohort({ id: 7, name: 'People', members: people(2) });
    world.project.addCohort({ id: 8, name: 'Companies', isGroup: true, members: [] });
    for (const base of ['/api/query', '/api/2.0']) {
      expect(await world.ask(`${base}/cohorts/list?project_id=${world.project.id}`)).toMatchObject({
        status: 200,
        json: [
          { id: 7, name: 'People', count: 2, data_group_id: null },
          { id: 8, name: 'Companies', data_group_id: expect.any(Number) },
        ],
      });
    }
  });

  test('credentials are checked, and a project that is not theirs is forbidden', async () => {
    await using world = await startWithProject();
    const { ask, project, account } = world;
    const list = `/api/query/cohorts/list?project_id=${project.id}`;
    const wrong = { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` };
    expect(await ask(list, { headers: wrong })).toMatchObject({
      status: 401,
      json: { error: expect.stringContaining('Unable to authenticate request') },
    });
    const plain = { authorization: `Basic ${account.username}:${account.secret}` };
    expect((await ask(list, { headers: plain })).status).toBe(200);
    expect((await ask('/api/query/cohorts/list?project_id=1')).status).toBe(403);
    expect((await ask(`/api/query/nothing?project_id=${project.id}`)).json).toMatchObject({
      error: 'Invalid API endpoint',
    });
  });

  test('the hour has so many queries, and later pages do not count', async () => {
    await using world = await startWithProject({ queriesPerHour: 2, defaultPageSize: 2 });
    const { id } = world.project.addCohort({ name: 'People', members: people(5) });
    const filter_by_cohort = JSON.stringify({ id });
    const { json } = await world.engage({ filter_by_cohort });
    expect(json).toMatchObject({ page: 0, page_size: 2, total: 5, status: 'ok' });
    for (const page of ['1', '2']) {
      expect((await world.engage({ filter_by_cohort, page, session_id: json.session_id })).status).toBe(200);
    }
    expect((await world.engage({ filter_by_cohort })).status).toBe(200);
    expect(await world.engage({ filter_by_cohort })).toMatchObject({
      status: 429,
      json: { error: expect.stringContaining('3/2 queries running in the last hour') },
    });
    world.clock.advance({ hours: 1 });
    expect((await world.engage({ filter_by_cohort })).status).toBe(200);
  });

  test('five queries run at a time', async () => {
    await using world = await startWithProject();
    const { id } = world.project.addCohort({ name: 'People', members: people(1) });
    world.sandbox.faults.add({ operation: 'mixpanel.engage', delayMs: 200 });
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => world.engage({ filter_by_cohort: JSON.stringify({ id }) })),
    );
    const refused = answers.filter((answer) => answer.status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(refused[0]!.json.error).toContain('6/5 queries running concurrently');
  });

  test('a page needs its session, and a session is forgotten', async () => {
    await using world = await startWithProject({ sessionLifeMs: 60_000, defaultPageSize: 1 });
    const { id } = world.project.addCohort({ name: 'People', members: people(3) });
    const filter_by_cohort = JSON.stringify({ id });
    expect(await world.engage({ filter_by_cohort, page: '1' })).toMatchObject({
      status: 400,
      json: { error: 'must have session_id when requesting page > 0' },
    });
    const { json } = await world.engage({ filter_by_cohort });
    expect(json.session_id).toMatch(/^\d{13}-[0-9a-f]{32}$/);
    world.clock.advance({ minutes: 2 });
    expect(await world.engage({ filter_by_cohort, page: '1', session_id: json.session_id })).toMatchObject({
      status: 400,
      json: { error: 'request for page in uncached query for params' },
    });
  });

  test('only the properties that were asked for are told, and people without a profile on demand', async () => {
    await using world = await startWithProject();
    const { id } = world.project.addCohort({
      name: 'People',
      members: [
        { distinctId: 'a', properties: { $email: 'a@example.com', plan: 'pro' } },
        { distinctId: 'b' },
      ],
    });
    const filter_by_cohort = JSON.stringify({ id });
    const all = await world.engage({ filter_by_cohort, output_properties: '["$email"]' });
    expect(all.json.results).toEqual([
      { $distinct_id: 'a', $properties: { $email: 'a@example.com' } },
      { $distinct_id: 'b', $properties: {} },
    ]);
    const known = await world.engage({ filter_by_cohort, include_all_users: 'false' });
    expect(known.json).toMatchObject({ total: 1, results: [{ $distinct_id: 'a' }] });
  });
});

test('another process sets the sandbox up by its controls', async () => {
  await using bare = await startBareSandbox();
  const control = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${bare.sandbox.controlUrl}/_control/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: await response.json() };
  };
  const { json: iterable } = await control('POST', 'iterable/projects', { type: 'EMAIL', maxBatch: 10 });
  const { json: mixpanel } = await control('POST', 'mixpanel/projects', {});
  const { json: cohort } = await control('POST', 'mixpanel/cohorts', {
    project: mixpanel.id,
    name: 'People',
    members: { count: 3, prefix: 'p' },
  });
  await control('PUT', 'mixpanel/members', { project: mixpanel.id, cohortId: cohort.id, members: [] });
  await control('PATCH', 'mixpanel/settings', { project: mixpanel.id, settings: { queriesPerHour: 7 } });
  await control('POST', 'iterable/list', { project: iterable.id, name: 'Friends' });
  await control('PUT', 'iterable/member', {
    project: iterable.id,
    name: 'Friends',
    email: 'a@example.com',
    isMember: true,
  });
  expect((await control('GET', `iterable/list?project=${iterable.id}&name=Friends`)).json).toMatchObject({
    listType: 'Standard',
    members: ['a@example.com'],
  });
  expect(bare.sandbox.mixpanel.projects[0]).toMatchObject({ settings: { queriesPerHour: 7 } });
  expect(bare.sandbox.mixpanel.projects[0]!.cohorts.get(cohort.id)?.members.count).toBe(0);
  expect(bare.sandbox.iterable.projects[0]!.settings.maxBatch).toBe(10);
  const mistyped = { project: mixpanel.id, settings: { queries: 7 } };
  expect((await control('PATCH', 'mixpanel/settings', mistyped)).status).toBe(400);
  expect((await control('POST', 'nothing')).status).toBe(404);
});
