import { describe, expect, test } from 'vitest';
import { SAMPLE, startWithPeople, startWithProject } from './support/mixpanel-queries.ts';
import { people } from './support/people.ts';

const QUERY = {
  output_properties: '["$email","plan"]',
  page_size: '2',
  where: 'defined(properties["plan"])',
};

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
