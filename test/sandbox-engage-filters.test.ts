import { describe, expect, test } from 'vitest';
import { startWithPeople } from './support/mixpanel-queries.ts';

describe('the sandbox finds the profiles that are meant as Mixpanel:', () => {
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

  test('what joins no booleans, and groups that are unknown, are refused by name', async () => {
    await using world = await startWithPeople();
    expect(await world.idsOf({ where: 'properties["plan"] and true' })).toContain('must be boolean');
    expect(await world.idsOf({ data_group_id: '7' })).toBe('data group 7 not found');
    expect(await world.idsOf({ filter_by_cohort: '{"id":1}' })).toBe('cohort 1 not found');
  });
});
