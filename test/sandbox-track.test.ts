import { describe, expect, test } from 'vitest';
import { startBareSandbox } from './support/bare-sandbox.ts';

/** The clock of the sandbox stands there. */
const NOW = Date.parse('2030-01-01T00:00:00Z');
const DAY_MS = 86_400_000;

async function startTracking() {
  const { sandbox } = await startBareSandbox();
  const project = sandbox.mixpanel.addProject();
  const { token } = project;
  async function send(path: string, records: unknown, type = 'application/json') {
    const response = await fetch(`${sandbox.env.MIXPANEL_INGESTION_BASE_URL_US}${path}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: typeof records === 'string' ? records : JSON.stringify(records),
    });
    const text = await response.text();
    return response.headers.get('content-type') === 'application/json'
      ? { status: response.status, json: JSON.parse(text) }
      : text;
  }
  const track = (...records: unknown[]) => send('/track', records);
  const event = (properties: object = {}) => ({ event: 'Opened', properties: { token, ...properties } });
  return { sandbox, project, token, send, track, event, [Symbol.asyncDispose]: () => sandbox.stop() };
}

describe('the sandbox tracks as Mixpanel:', () => {
  test('events get the time and the id that they lack, and no event is of the future', async () => {
    await using world = await startTracking();
    const { track, event } = world;
    const given = event({ time: NOW / 1000 - 60, distinct_id: 'u-1', $insert_id: 'i-1' });
    expect(await track(event(), given, event({ time: NOW + DAY_MS, distinct_id: 'u-2' }))).toBe('1');
    expect(world.project.imported.all).toMatchObject([
      { event: 'Opened', time: NOW, distinctId: '', insertId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      { event: 'Opened', time: NOW - 60_000, distinctId: 'u-1', insertId: 'i-1' },
      { event: 'Opened', time: NOW, distinctId: 'u-2' },
    ]);
  });

  test('what is older than five days is dropped without a word, and so is what merges identities', async () => {
    await using world = await startTracking();
    const { track, event } = world;
    expect(await track(event({ time: NOW - 5 * DAY_MS - 1 }), event({ time: NOW - 5 * DAY_MS }))).toBe('1');
    expect(await track({ ...event(), event: '$create_alias' })).toBe('1');
    expect(world.project.imported.all).toMatchObject([{ time: NOW - 5 * DAY_MS }]);
  });

  test('a token of no project is no fault and loses the event, which is complained of', async () => {
    await using world = await startTracking();
    expect(await world.track(world.event({ token: 'stranger' }))).toBe('1');
    expect(world.project.imported.accepted).toBe(0);
    expect(world.sandbox.calls.complaints).toEqual(['track with a token of no project']);
  });

  test.each<[string, unknown, string]>([
    ['no token', [{ event: 'Opened', properties: {} }], "'properties.token' must not be missing"],
    ['no name', [{ properties: { token: 't' } }], "'event' must not be missing or blank"],
    ['a fraction for a time', [{ event: 'x', properties: { token: 't', time: 1.5 } }], 'properties.time'],
    ['no events', [], 'at least one record'],
    ['no JSON', '[', 'unable to parse'],
  ])('%s is answered 0, and why when asked', async (_what, records, error) => {
    await using world = await startTracking();
    expect(await world.send('/track', records)).toBe('0');
    expect(await world.send('/track?verbose=1', records)).toEqual({
      status: 200,
      json: { status: 0, error: expect.stringContaining(error) },
    });
  });

  test('plain text is nothing that it reads, and two thousand events are the most', async () => {
    await using world = await startTracking();
    const { send, track, event } = world;
    expect(await send('/track', JSON.stringify([event()]), 'text/plain')).toBe('0');
    expect(await track(...Array.from({ length: 2_001 }, () => event()))).toMatchObject({ status: 413 });
    expect(world.project.imported.accepted).toBe(0);
  });
});

describe('the sandbox takes updates of profiles as Mixpanel:', () => {
  test('the good ones are applied, the others told of when asked', async () => {
    await using world = await startTracking();
    const { send, token, project } = world;
    const good = { $token: token, $distinct_id: 'u-1', $set: { plan: 'pro' } };
    const bad = { $token: token, $distinct_id: 'u-2', $set: 'pro' };
    expect(await send('/engage#profile-set', [good, bad])).toBe('1');
    expect(await send('/engage?verbose=1', [bad])).toEqual({
      status: 200,
      json: { status: 0, error: "'$set' must be an object" },
    });
    expect(await send('/engage?strict=1', [good, bad])).toMatchObject({
      status: 400,
      json: {
        num_records_imported: 1,
        failed_records: [{ index: 1, field: '$set', message: "'$set' must be an object" }],
      },
    });
    expect(await send('/engage?strict=1', [good])).toEqual({
      status: 200,
      json: { code: 200, num_records_imported: 1, status: 'OK' },
    });
    expect([...project.profiles]).toEqual([['u-1', { plan: 'pro' }]]);
  });

  test.each<[string, object]>([
    ['$distinct_id', { $set: {} }],
    ['$token', { $token: 7, $distinct_id: 'u-1', $set: {} }],
    ['$set', { $distinct_id: 'u-1' }],
    ['$add', { $distinct_id: 'u-1', $add: { visits: 'two' } }],
    ['$union', { $distinct_id: 'u-1', $union: { tags: 'a' } }],
    ['$unset', { $distinct_id: 'u-1', $unset: { plan: 1 } }],
  ])('an update with a bad %s is none', async (field, update) => {
    await using world = await startTracking();
    const records = [{ $token: world.token, ...update }];
    expect(await world.send('/engage?strict=1', records)).toMatchObject({
      json: { num_records_imported: 0, failed_records: [{ field }] },
    });
    expect(await world.send('/engage', records)).toBe('0');
    expect(world.project.profiles.size).toBe(0);
  });

  test('what only takes away makes no profile, and a group needs its key and id', async () => {
    await using world = await startTracking();
    const { send, token, project } = world;
    const whose = { $token: token, $distinct_id: 'u-1' };
    expect(await send('/engage', [{ ...whose, $unset: ['plan'] }])).toBe('1');
    expect(await send('/engage', [{ ...whose, $remove: { tags: 'a' } }])).toBe('1');
    expect(project.profiles.size).toBe(0);
    expect(await send('/groups', [{ ...whose, $set: { seats: 1 } }])).toBe('0');
    const group = { $token: token, $group_key: 'company', $group_id: 'acme' };
    expect(
      await send('/groups', [
        { ...group, $set: { seats: 1 } },
        { ...group, $add: { seats: 2 } },
      ]),
    ).toBe('1');
    expect([...project.groups]).toEqual([['acme', { seats: 3 }]]);
  });
});
