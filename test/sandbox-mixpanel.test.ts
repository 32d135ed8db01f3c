import { describe, expect, test } from 'vitest';
import { startBareSandbox } from './support/bare-sandbox.ts';
import { basic, startWithProject } from './support/mixpanel-queries.ts';
import { people } from './support/people.ts';

describe('the sandbox plays Mixpanel:', () => {
  test('cohorts are listed on both paths, group cohorts with their data group', async () => {
    await using world = await startWithProject();
    world.project.addCohort({ id: 7, name: 'People', description: 'All', members: people(2) });
    world.project.addCohort({ id: 8, name: 'Companies', isGroup: true, members: [] });
    const listed = {
      project_id: Number(world.project.id),
      is_visible: 1,
      created: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
    };
    for (const base of ['/api/query', '/api/2.0']) {
      for (const method of ['POST', 'GET']) {
        const path = `${base}/cohorts/list?project_id=${world.project.id}`;
        expect(await world.ask(path, { method })).toEqual({
          status: 200,
          json: [
            { id: 7, name: 'People', description: 'All', count: 2, data_group_id: null, ...listed },
            { id: 8, name: 'Companies', description: '', count: 0, data_group_id: 12_345, ...listed },
          ],
        });
      }
    }
  });

  test('credentials are checked, and a project that is not theirs is forbidden', async () => {
    await using world = await startWithProject();
    const { ask, project, account } = world;
    const list = `/api/query/cohorts/list?project_id=${project.id}`;
    expect(await ask(list, { headers: basic('a', 'b') })).toEqual({
      status: 401,
      json: { request: list, error: 'Unable to authenticate request' },
    });
    const plain = { authorization: `Basic ${account.username}:${account.secret}` };
    expect((await ask(list, { headers: plain })).status).toBe(200);
    expect((await ask('/api/query/cohorts/list?project_id=1')).status).toBe(403);
    expect((await ask(`/api/query/nothing?project_id=${project.id}`)).json).toMatchObject({
      error: 'Invalid API endpoint',
    });
  });

  test('the secret of a project opens its queries, and names it', async () => {
    await using world = await startWithProject();
    const { ask, project } = world;
    const other = world.sandbox.mixpanel.addProject();
    project.addCohort({ id: 7, name: 'People', members: [] });
    const list = '/api/query/cohorts/list';
    const headers = basic(project.secret, '');
    expect(await ask(list, { headers })).toMatchObject({ status: 200, json: [{ id: 7 }] });
    expect((await ask(`${list}?project_id=${project.id}`, { headers })).status).toBe(200);
    expect((await ask(`${list}?project_id=${other.id}`, { headers })).status).toBe(403);
    for (const wrong of [basic(project.token, ''), basic(project.secret, 'x'), basic('', '')]) {
      expect((await ask(list, { headers: wrong })).status).toBe(401);
    }
    // The secret alone, without a colon behind it.
    const bare = { authorization: `Basic ${Buffer.from(project.secret).toString('base64')}` };
    expect((await ask(list, { headers: bare })).status).toBe(401);
    // An account has to say which project it means.
    expect((await ask(list)).status).toBe(401);
  });

  test('an account is told what it may see', async () => {
    await using world = await startWithProject();
    const { ask, project } = world;
    const { json } = await ask('/api/app/me', { method: 'GET' });
    expect(json).toMatchObject({ status: 'ok', results: { projects: { [project.id]: {} } } });
    expect(Object.keys(json.results)).toEqual(['organizations', 'workspaces', 'projects']);
    const headers = basic(project.secret, '');
    expect((await ask('/api/app/me', { method: 'GET', headers })).status).toBe(401);
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
  const { json: mixpanel } = await control('POST', 'mixpanel/projects', { secret: 's-1' });
  expect(mixpanel).toMatchObject({ token: expect.stringMatching(/^[0-9a-f]{32}$/), secret: 's-1' });
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
