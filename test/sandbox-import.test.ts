import { describe, expect, test } from 'vitest';
import { BASE, NOW, record, startImporting } from './support/mixpanel-imports.ts';

const deepen = (levels: number): unknown => (levels === 0 ? 1 : { in: deepen(levels - 1) });
const many = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('the sandbox takes events as Mixpanel:', () => {
  test.each<[string, unknown, string, string]>([
    ['no name', { properties: BASE }, 'event', "'event' must not be missing or blank"],
    ['a blank name', record({}, ' '), 'event', "'event' must not be missing or blank"],
    ['no properties', { event: 'emailSend', properties: [] }, 'properties', 'must be an object'],
    ['nothing but a name', { event: 'emailSend' }, 'properties', 'must not be missing'],
    ['something beside', { ...record(), $source: 'x' }, '$source', 'must be one of the properties'],
    ['a fraction of a second', record({ time: 1_893_455_999.5 }), 'properties.time', 'must be specified'],
    ['a fraction of a millisecond', record({ time: NOW - 0.5 }), 'properties.time', 'must be specified'],
    ['no time', record({ time: undefined }), 'properties.time', 'must be specified as seconds since epoch'],
    ['a time in text', record({ time: '2030-01-01' }), 'properties.time', 'must be specified as seconds'],
    ['a time before 1971', record({ time: 31_535_999 }), 'properties.time', 'must be specified as seconds'],
    ['a time to come', record({ time: NOW + 1 }), 'properties.time', 'must not be in the future'],
    ['nobody', record({ distinct_id: undefined }), 'properties.distinct_id', 'must not be missing'],
    ['a number for a person', record({ distinct_id: 7 }), 'properties.distinct_id', 'must be a string'],
    ['a person who is none', record({ distinct_id: 'undefined' }), 'properties.distinct_id', 'banned'],
    ['no id', record({ $insert_id: undefined }), 'properties.$insert_id', 'must not be missing'],
    ['an id that is too long', record({ $insert_id: 'x'.repeat(37) }), 'properties.$insert_id', '36 bytes'],
    ['an id of other characters', record({ $insert_id: 'a_b' }), 'properties.$insert_id', 'alphanumeric'],
    ['an id that is none', record({ $insert_id: '0' }), 'properties.$insert_id', 'banned'],
    [
      'too many properties',
      record(Object.fromEntries(many(250).map((index) => [`p${index}`, 1]))),
      'properties',
      'fewer than 255 properties',
    ],
    ['too deep an object', record({ deep: deepen(4) }), 'properties.deep', 'nested deeper than 3'],
    ['too long an array', record({ long: many(255) }), 'properties.long', 'fewer than 255 items'],
    ['half a character', record({ half: '\ud83d' }), 'properties.half', 'string should be valid utf8'],
    ['more than a megabyte', record({ text: 'x'.repeat(1_000_000) }), 'properties', 'smaller than 1MB'],
  ])('an event with %s is refused by name, and its neighbour taken', async (_what, bad, field, message) => {
    await using world = await startImporting();
    const answer = await world.importAll(record({ $insert_id: 'good' }), bad);
    expect(answer).toMatchObject({
      status: 400,
      json: {
        code: 400,
        error: 'some data points in the request failed validation',
        status: 'Bad Request',
        num_records_imported: 1,
        failed_records: [
          { index: 1, insert_id: expect.any(String), field, message: expect.stringContaining(message) },
        ],
      },
    });
    expect(world.project.imported.all.map(({ insertId }) => insertId)).toEqual(['good']);
  });

  test('what is just within the limits is taken', async () => {
    await using world = await startImporting();
    const full = Object.fromEntries(many(249).map((index) => [`p${index}`, 1]));
    const answer = await world.importAll(
      record(full),
      record({ deep: deepen(3), long: many(254), $insert_id: 'x'.repeat(36) }),
      record({ time: 31_536_000 }),
    );
    expect(answer.json).toMatchObject({ num_records_imported: 3 });
    expect(world.project.imported.all[2]).toMatchObject({ time: 31_536_000_000 });
  });

  test('where identities merge the simple way, $user_id or $device_id will do', async () => {
    await using simple = await startImporting();
    await using original = await startImporting({ idMerge: 'ORIGINAL' });
    const records = [
      record({ distinct_id: undefined, $user_id: 'u-2' }),
      record({ distinct_id: undefined, $device_id: 'd-3' }),
    ];
    expect((await simple.importAll(...records)).status).toBe(200);
    expect(simple.project.imported.all.map(({ distinctId }) => distinctId)).toEqual(['u-2', '$device:d-3']);
    expect((await original.importAll(...records)).json).toMatchObject({
      num_records_imported: 0,
      failed_records: [{ field: 'properties.distinct_id' }, { field: 'properties.distinct_id' }],
    });
  });

  test('one event that merges identities refuses its whole batch in plain words', async () => {
    await using simple = await startImporting();
    await using original = await startImporting({ idMerge: 'ORIGINAL' });
    const records = [record(), record({}, '$identify')];
    expect((await simple.importAll(...records)).json).toMatchObject({
      num_records_imported: 0,
      failed_records: [
        'identity events are not allowed when project is using simplified identity management',
      ],
    });
    expect(simple.project.imported.accepted).toBe(0);
    expect((await original.importAll(...records)).status).toBe(200);
  });

  test('failures are spelt otherwise, or not named, on demand', async () => {
    await using world = await startImporting({
      insertIdSpelling: '$insert_id',
      refusedEvents: [
        { insertId: 'no', message: 'not this one' },
        { event: 'pushOpen', message: 'no opens' },
      ],
    });
    const records = [record(), record({ $insert_id: 'no' }), record({}, 'pushOpen')];
    expect((await world.importAll(...records)).json.failed_records).toEqual([
      { index: 1, $insert_id: 'no', field: 'event', message: 'not this one' },
      { index: 2, $insert_id: 'i-1', field: 'event', message: 'no opens' },
    ]);
    world.project.settings.namesFailures = false;
    expect((await world.importAll(...records)).json.failed_records).toEqual(['not this one', 'no opens']);
  });

  test('it says less than it took in, on demand', async () => {
    await using world = await startImporting({ liesAbout: 1 });
    const answer = await world.importAll(record(), record({ $insert_id: 'i-2' }));
    expect(answer).toMatchObject({ status: 200, json: { num_records_imported: 1 } });
    expect(world.project.imported.accepted).toBe(2);
  });

  test('a repeat is seen once, as it came last', async () => {
    await using world = await startImporting();
    await world.importAll(record({ colour: 'red' }), record({ colour: 'blue' }), record({}, 'emailOpen'));
    await world.importAll(record({ distinct_id: 'u-2' }), record({ time: NOW / 1000 - 1 }));
    const { imported } = world.project;
    expect(imported.accepted).toBe(5);
    expect(imported.distinct()).toHaveLength(4);
    expect(imported.distinct()[0]).toMatchObject({ event: 'emailSend', properties: { colour: 'blue' } });
  });

  test('people with an event that is not exempt are the tracked users of its month', async () => {
    await using world = await startImporting();
    const december = Date.parse('2029-12-31T23:59:59Z');
    await world.importAll(
      record({ distinct_id: 'sent' }),
      record({ distinct_id: 'opened' }),
      record({ distinct_id: 'opened' }, 'emailOpen'),
      record({ distinct_id: 'opened' }, 'emailClick'),
      record({ distinct_id: '' }, 'emailOpen'),
      record({ distinct_id: 'earlier', time: december }, 'webPushSend'),
    );
    expect(world.project.imported.mtus('2030-01')).toBe(1);
    expect(world.project.imported.mtus('2029-12')).toBe(1);
    expect(world.project.imported.mtus('2029-11')).toBe(0);
  });

  test('what a careful client does not send is complained of, and $ignore loses the event', async () => {
    await using world = await startImporting();
    await world.importAll(
      record({ ip: undefined }),
      record({ $source: undefined }),
      record({ $ignore: false, bucket: 1, $bucket: 1, $time: 1, $event_name: 1 }),
    );
    expect(world.sandbox.calls.complaints).toEqual([
      'import of an event without ip: 0',
      'import of an event without $source',
      'import of an event with a property $ignore',
      'import of an event with a property bucket',
      'import of an event with a property $bucket',
      'import of an event with a property $time',
      'import of an event with a property $event_name',
    ]);
    expect(world.project.imported.accepted).toBe(2);
  });

  test('events are counted only where they are too many to keep', async () => {
    await using world = await startImporting({ keepsEvents: false });
    for (const _batch of many(2)) await world.importAll(...many(1000).map(() => record()));
    const { imported } = world.project;
    expect(imported.accepted).toBe(2000);
    expect(imported.all).toHaveLength(100);
    expect(() => imported.distinct()).toThrow('counted only');
  });

  test('another process sets it up and sees what came in', async () => {
    await using world = await startImporting();
    const control = async (method: string, path: string, body?: unknown) => {
      const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
      const response = await fetch(`${world.sandbox.controlUrl}/_control/mixpanel/${path}`, init);
      return response.json();
    };
    const project = world.project.id;
    await control('PATCH', 'settings', {
      project,
      settings: { refusedEvents: [{ event: 'pushOpen', message: 'no' }], liesAbout: 1 },
    });
    await world.importAll(record(), record(), record({}, 'emailOpen'));
    expect((await world.importAll(record({}, 'pushOpen'))).status).toBe(400);
    const seen = await control('GET', `events?project=${project}&month=2030-01`);
    expect(seen).toMatchObject({ accepted: 3, distinct: 2, mtus: 1 });
    expect((seen as { events: unknown[] }).events[2]).toEqual({
      event: 'emailOpen',
      time: NOW,
      distinctId: 'u-1',
      insertId: 'i-1',
      properties: BASE,
    });
  });
});
