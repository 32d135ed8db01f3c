import { describe, expect, test } from 'vitest';
import { startWithProject } from './support/mixpanel-queries.ts';
import { people } from './support/people.ts';

const SAMPLE = [
  {
    distinctId: 'ann',
    properties: { $email: 'ann@example.com', plan: 'pro', seats: 5, $last_seen: '2029-12-30T12:00:00' },
  },
  { distinctId: 'bob', properties: { $email: 'bob@example.com', plan: 'free', seats: 1, admin: true } },
  { distinctId: 'cyd', properties: { plan: 'pro', seats: '5', tags: ['a', 'b'] } },
  { distinctId: 'dan' },
];

const QUERY = {
  output_properties: '["$email","plan"]',
  page_size: '2',
  where: 'defined(properties["plan"])',
};

/** A project with two cohorts that share somebody, and how to ask it who is meant. */
async function startWithPeople(settings: Parameters<typeof startWithProject>[0] = {}) {
  const world = await startWithProject(settings);
  const { project, engage } = world;
  const { id } = project.addCohort({ name: 'All', members: SAMPLE });
  project.addCohort({
    name: 'Some',
    members: [SAMPLE[0]!, { distinctId: 'eve', properties: { plan: 'pro' } }],
  });
  project.addCohort({
    name: 'Companies',
    isGroup: true,
    members: [{ distinctId: 'acme', properties: { plan: 'pro' } }],
  });
  async function idsOf(form: Record<string, string>): Promise<unknown> {
    const { status, json } = await engage(form);
    return status === 200
      ? json.results.map((row: { $distinct_id: string }) => row.$distinct_id)
      : json.error;
  }
  return { ...world, cohort: JSON.stringify({ id }), idsOf };
}

describe('the sandbox answers to engage as Mixpanel:', () => {
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

  test('an answer has the fields that were recorded', async () => {
    await using world = await startWithPeople();
    const { json } = await world.engage({ filter_by_cohort: world.cohort, distinct_id: 'ann' });
    expect(Object.keys(json)).toEqual([
      'results',
      'page',
      'session_id',
      'page_size',
      'total',
      'status',
      'computed_at',
    ]);
    expect(json).toMatchObject({
      results: [{ $distinct_id: 'ann', $properties: SAMPLE[0]!.properties }],
      page: 0,
      page_size: 1000,
      total: 1,
      status: 'ok',
      computed_at: '2030-01-01T00:00:00.000000+00:00',
    });
  });

  test.each<[string, Record<string, string | undefined>]>([
    ['other properties', { output_properties: '["$email"]' }],
    ['no properties', { output_properties: undefined }],
    ['another size of pages', { page_size: '1' }],
    ['no size of pages', { page_size: undefined }],
    ['another condition', { where: 'true' }],
    ['no condition', { where: undefined }],
    ['people without a profile left out', { include_all_users: 'false' }],
    ['one person', { distinct_id: 'cyd' }],
    ['another cohort', { filter_by_cohort: '{"id":1}' }],
    ['no cohort', { filter_by_cohort: undefined }],
  ])('a later page that asks for %s is of no session', async (_what, change) => {
    await using world = await startWithPeople();
    const first = { ...QUERY, filter_by_cohort: world.cohort };
    const { json } = await world.engage(first);
    const later = { page: '1', session_id: json.session_id };
    const changed = Object.entries({ ...first, ...change, ...later }).filter(
      ([, value]) => value !== undefined,
    );
    expect(await world.engage(Object.fromEntries(changed) as Record<string, string>)).toMatchObject({
      status: 400,
      json: { error: 'request for page in uncached query for params' },
    });
    const spelt = { output_properties: '[ "$email", "plan" ]', include_all_users: 'true' };
    expect(await world.idsOf({ ...first, ...spelt, ...later })).toEqual(['cyd']);
  });

  test('without a cohort everybody is meant who has a profile, once', async () => {
    await using world = await startWithPeople();
    expect(await world.idsOf({})).toEqual(['ann', 'bob', 'cyd', 'eve']);
    expect(await world.idsOf({ page_size: '3' })).toEqual(['ann', 'bob', 'cyd']);
    expect(await world.idsOf({ distinct_id: 'eve' })).toEqual(['eve']);
    expect(await world.idsOf({ distinct_id: 'dan' })).toEqual([]);
    expect(await world.idsOf({ distinct_ids: '["bob","eve","nobody"]' })).toEqual(['bob', 'eve']);
    expect(await world.idsOf({ data_group_id: '12345' })).toEqual(['acme']);
    const both = { filter_by_cohort: world.cohort, distinct_ids: '["dan","eve"]' };
    expect(await world.idsOf(both)).toEqual(['dan']);
  });

  test.each<[string, string[]]>([
    ['properties["plan"] == "pro"', ['ann', 'cyd', 'eve']],
    ["user['plan'] != 'pro'", ['bob']],
    ['properties["seats"] == 5', ['ann']],
    ['number(properties["seats"]) >= 5', ['ann', 'cyd']],
    ['properties["seats"] * 2 - 1 > 1 and not properties["plan"] == "free"', ['ann']],
    ['properties["seats"] in [1, 2, 3] or defined(properties["tags"])', ['bob', 'cyd']],
    ['"ann@" in properties["$email"]', ['ann']],
    ['not defined(properties["$email"])', ['cyd', 'eve']],
    ['(properties["plan"] == "pro") and (properties["seats"] > -1)', ['ann']],
    ['boolean(properties["admin"])', ['bob']],
    ['string(properties["seats"]) + "!" == "5!"', ['ann', 'cyd']],
    ['floor(properties["seats"] / 2) == 2 or round(properties["seats"] % 2) == 5', ['ann']],
    ['datetime(properties["$last_seen"]) > datetime("2029-12-30")', ['ann']],
    ['properties["$last_seen"] < datetime("2029-12-30T12:00:01")', ['ann']],
    ['properties["plan"] < 5', []],
    ['"a" in properties["tags"]', ['cyd']],
  ])('where %s', async (where, ids) => {
    await using world = await startWithPeople();
    expect(await world.idsOf({ where })).toEqual(ids);
  });

  test('behaviors count what people did, and need their moment for a later page', async () => {
    await using world = await startWithPeople();
    const now = Date.parse('2030-01-01T00:00:00Z');
    const add = (distinctId: string, daysAgo: number, count: number) => {
      for (let index = 0; index < count; index++) {
        const insertId = `${distinctId}-${daysAgo}-${index}`;
        const time = now - daysAgo * 86_400_000;
        world.project.imported.add({
          event: 'Opened',
          time,
          distinctId,
          insertId,
          properties: { on: 'web' },
        });
      }
    };
    add('ann', 1, 3);
    add('bob', 1, 1);
    add('eve', 40, 3);
    const selector = 'properties["on"] == "web"';
    const behaviors = JSON.stringify([
      { window: '30d', name: 'opens', event_selectors: [{ event: 'Opened', selector }] },
    ]);
    const where = 'behaviors["opens"] > 0';
    expect(await world.idsOf({ behaviors, where })).toEqual(['ann', 'bob']);
    expect(await world.idsOf({ behaviors, where: 'behaviors["opens"] >= 3' })).toEqual(['ann']);
    const query = { behaviors, where, page_size: '1' };
    for (const [moment, status] of [
      [{}, 400],
      [{ as_of_timestamp: String(now / 1000) }, 200],
    ] as const) {
      const { json } = await world.engage({ ...query, ...moment });
      const later = await world.engage({ ...query, ...moment, page: '1', session_id: json.session_id });
      expect(later.status).toBe(status);
    }
  });

  test.each<[string, Record<string, string>]>([
    ['output_properties', { output_properties: '$email' }],
    ['output_properties', { output_properties: '"$email"' }],
    ['output_properties', { output_properties: '[1]' }],
    ['filter_by_cohort', { filter_by_cohort: '7' }],
    ['filter_by_cohort', { filter_by_cohort: '{id:7}' }],
    ['filter_by_cohort', { filter_by_cohort: '{"id":"x"}' }],
    ['filter_by_cohort', { filter_by_cohort: '{"id":7,"name":"x"}' }],
    ['filter_by_cohort', { filter_by_cohort: 'null' }],
    ['mutually exclusive', { filter_by_cohort: '{"id":7}', behaviors: '[]' }],
    ['page', { page: '-1', session_id: 'x' }],
    ['page', { page: 'one', session_id: 'x' }],
    ['page', { page: '1.5', session_id: 'x' }],
    ['page_size', { page_size: '0' }],
    ['page_size', { page_size: 'many' }],
    ['include_all_users', { include_all_users: 'maybe' }],
    ['distinct_ids', { distinct_ids: 'ann' }],
    ['distinct_ids', { distinct_ids: JSON.stringify(Array.from({ length: 2001 }, String)) }],
    ['as_of_timestamp', { as_of_timestamp: 'now' }],
    ['behaviors', { behaviors: '{}' }],
    ['behaviors', { behaviors: '[{"name":"x"}]' }],
    ['selector', { where: 'properties["plan"' }],
    ['selector', { where: 'plan == "pro"' }],
    ['selector', { where: 'properties["plan"] = "pro"' }],
    ['selector', { where: `${'('.repeat(10_000)}1` }],
  ])('bad %s are refused, and cost no query', async (error, form) => {
    await using world = await startWithPeople({ queriesPerHour: 1 });
    expect(await world.engage(form)).toEqual({
      status: 400,
      json: {
        request: `/api/query/engage?project_id=${world.project.id}`,
        error: expect.stringContaining(error),
      },
    });
    expect((await world.engage()).status).toBe(200);
  });

  test('what joins no booleans, and groups that are unknown, are refused by name', async () => {
    await using world = await startWithPeople();
    expect(await world.idsOf({ where: 'properties["plan"] and true' })).toContain('must be boolean');
    expect(await world.idsOf({ data_group_id: '7' })).toBe('data group 7 not found');
    expect(await world.idsOf({ filter_by_cohort: '{"id":1}' })).toBe('cohort 1 not found');
  });

  test('parameters come as JSON too, and JSON that cannot be read is refused', async () => {
    await using world = await startWithPeople();
    const path = `/api/2.0/engage?project_id=${world.project.id}`;
    const json = JSON.stringify({
      filter_by_cohort: world.cohort,
      output_properties: ['plan'],
      page_size: 1,
    });
    expect(await world.ask(path, { json })).toMatchObject({
      status: 200,
      json: { page_size: 1, total: 4, results: [{ $distinct_id: 'ann', $properties: { plan: 'pro' } }] },
    });
    for (const bad of ['{', '[]', '"x"', '1']) {
      expect(await world.ask(path, { json: bad })).toEqual({
        status: 400,
        json: { request: path, error: expect.stringContaining('the request body') },
      });
    }
  });
});
