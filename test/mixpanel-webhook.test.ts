import { expect, test } from 'vitest';
import { pushCohort } from '../sandbox/mixpanel/push.ts';
import { queueDueRuns } from '../src/sync/queue-due-runs.ts';
import { applyPushes } from '../src/sync/sources/pushed/apply-pushes.ts';
import {
  basic,
  createPusher,
  pushed,
  pushedCohort,
  pushedMembers,
  toBody,
  untilApplied,
} from './support/mixpanel-push.ts';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const SUCCESS = (action: string) => ({ status: 200, body: { action, status: 'success' } });

test('the address is shown to administrators only, and another one takes its place', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { endpoint, push } = await createPusher(app);
  expect(endpoint).toMatchObject({
    url: expect.stringMatching(/\/webhooks\/mixpanel\/[\w-]{32}$/),
    username: 'mixpanel',
  });
  const query = '{ mixpanel { webhook { url } } }';
  const { api: analyst } = await makeToken(app, 'ANALYST');
  expect((await analyst.query(query)).mixpanel.webhook).toBeNull();
  const { api: admin } = await makeToken(app, 'ADMIN');
  expect((await admin.query(query)).mixpanel.webhook).not.toBeNull();

  // Connecting again leaves it as it is: an address cannot be changed in Mixpanel.
  await app.connectMixpanel();
  expect((await createPusher(app)).endpoint).toEqual(endpoint);

  const { replaceMixpanelWebhook: account } = await admin.query(
    'mutation { replaceMixpanelWebhook { id webhook { url username password lastReceivedAt } } }',
  );
  expect(account.webhook.url).not.toContain(new URL(endpoint.url).pathname);
  expect(account.webhook.password).not.toBe(endpoint.password);
  const { mixpanel } = await admin.query(
    '{ mixpanel { id webhook { url username password lastReceivedAt } } }',
  );
  expect(mixpanel).toEqual(account);
  expect((await push({ session: 's', members: [] })).status).toBe(404);
  const other = await createPusher(app);
  expect((await other.push({ session: 's', members: [] })).status).toBe(200);
  const refusal = await analyst.fail('mutation { replaceMixpanelWebhook { id } }');
  expect(refusal.extensions.code).toBe('FORBIDDEN');
});

test('who does not know the secret is told 401 and leaves nothing behind', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { endpoint, send } = await createPusher(app);
  const body = JSON.stringify(toBody(app, { session: 's', members: [pushed('a')] }));
  for (const authorization of [
    '',
    'Basic',
    'Basic !!!',
    `Bearer ${endpoint.password}`,
    basic('mixpanel', ''),
    basic('mixpanel', `${endpoint.password}x`),
    basic('', endpoint.password),
    endpoint.password,
  ]) {
    expect((await send(body, { authorization })).status, authorization).toBe(401);
  }
  const elsewhere = await fetch(`${endpoint.url}x`, { method: 'POST', body });
  expect(elsewhere.status).toBe(404);
  const { mixpanel } = await app.api.query('{ mixpanel { webhook { lastReceivedAt } } }');
  expect(mixpanel.webhook.lastReceivedAt).toBeNull();
  expect(await pushedCohort(app)).toBeUndefined();
});

test('what cannot be used is refused with a reason, and a missing connection with 503', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { endpoint, send, push } = await createPusher(app);
  const refused = async (body: string) => {
    const answer = await send(body);
    expect(answer).toMatchObject({ status: 400, body: { status: 'failure', error: { code: 400 } } });
    return (answer.body as { error: { message: string } }).error.message;
  };
  expect(await refused('{')).toBe('The body is not JSON in UTF-8.');
  expect(await refused(`[${'{},'.repeat(2_000_000)}{}]`)).toBe('The body has more than 200000 values.');
  expect(await refused('['.repeat(9_999))).toBe('The body is nested deeper than 100 levels.');
  expect(await refused('[]')).toMatch(/^The body: /);
  const told = { session: 's', members: [pushed('a')] };
  expect(await refused(JSON.stringify({ ...toBody(app, told), action: 'erase' }))).toMatch(/^action: /);
  const bad = (parameters: Record<string, unknown>) =>
    refused(JSON.stringify(toBody(app, { ...told, parameters })));
  expect(await bad({ mixpanel_project_id: '999' })).toMatch(/project 999/);
  expect(await bad({ page_info: { total_pages: 2, page_count: 3 } })).toMatch(/page_count is larger/);
  expect(await bad({ page_info: { total_pages: 0, page_count: 0 } })).toMatch(
    /^parameters.page_info.total_pages: /,
  );
  expect(await bad({ mixpanel_session_id: '' })).toMatch(/^parameters.mixpanel_session_id/);
  expect(await bad({ members: 'all' })).toMatch(/^parameters.members: /);
  const large = await send(JSON.stringify({ padding: 'x'.repeat(9 * 1024 * 1024) }));
  expect(large.status).toBe(413);
  expect((await fetch(endpoint.url)).status).toBe(405);
  expect(await pushedCohort(app)).toBeUndefined();

  await app.api.query('mutation { disconnectMixpanel { id } }');
  expect(await push(told)).toMatchObject({ status: 503, body: { status: 'failure' } });
});

test('a long description is cut, whether it is pushed or polled', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { push } = await createPusher(app);
  const description = `${'x'.repeat(1_998)}\u{1F600}${'y'.repeat(1_000_000)}`;
  const parameters = { mixpanel_cohort_description: description };
  expect(await push({ session: 's1', members: [pushed('a')], parameters })).toEqual(SUCCESS('members'));
  app.mixpanel.addCohort({ name: 'Polled', description, members: people(1) });
  const { refreshCohorts } = await app.api.query('mutation { refreshCohorts { name description } }');
  const cut = `${'x'.repeat(1_998)}…`;
  expect(refreshCohorts).toContainEqual({ name: 'Polled', description: cut });
  expect(await pushedCohort(app)).toMatchObject({ description: cut });
});

test('a session is applied once it is whole, in whatever order its pages come, and runs the export at once', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { push } = await createPusher(app);
  expect(await push({ session: 's1', members: [pushed('a'), pushed('b'), pushed('c')] })).toEqual(
    SUCCESS('members'),
  );
  await untilApplied(app);
  const cohort = await pushedCohort(app);
  expect(cohort).toMatchObject({
    externalId: '5000001',
    name: 'Power users',
    description: 'text',
    memberCount: 3,
    exportable: true,
    present: true,
    warning: null,
  });
  const listName = 'mixpanel_Power users_5000001';
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(first).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 3 } });

  const members = { session: 's2', pages: 3 };
  expect(await push({ ...members, page: 3, members: [pushed('e')] })).toEqual(SUCCESS('members'));
  await push({ ...members, page: 1, members: [pushed('a')] });
  await push({ ...members, page: 3, members: [pushed('e')] });
  await applyPushes(app.app.sync);
  expect(await pushedMembers(app)).toEqual(['a', 'b', 'c']);
  await push({ ...members, page: 2, members: [pushed('d')] });
  expect(await app.untilRuns(first.exportId, 2)).toMatchObject({ trigger: 'PUSH', status: 'SUCCEEDED' });
  const onList = (ids: string[]) => ids.map((id) => `${id}@example.com`);
  expect(app.iterable.membersOf(listName)).toEqual(onList(['a', 'd', 'e']));

  await push({ action: 'remove_members', session: 's3', members: [pushed('d'), pushed('x')] });
  await app.untilRuns(first.exportId, 3);
  await push({ action: 'add_members', session: 's4', members: [pushed('f')], name: 'Renamed' });
  await app.untilRuns(first.exportId, 4);
  expect(app.iterable.membersOf(listName)).toEqual(onList(['a', 'e', 'f']));
  // Said again after it was applied: nothing happens, also when others have come since.
  expect(await push({ session: 's1', members: [pushed('z')] })).toEqual(SUCCESS('members'));
  await untilApplied(app);
  expect(await pushedMembers(app)).toEqual(['a', 'e', 'f']);
  expect(await pushedCohort(app)).toMatchObject({ name: 'Renamed', memberCount: 3 });
});

test('numbers for ids, no page_info, $email, and values of any kind are understood', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { push } = await createPusher(app);
  await push({
    session: 's',
    members: [
      { mixpanel_distinct_id: 17, $email: 'seventeen@example.com', plan: { deep: ['x'] } },
      { mixpanel_distinct_id: 'b', email: '', $email: 'B@Example.com', $iterable_user_id: 5 },
      { $distinct_id: 'c', email: { not: 'text' } },
      { mixpanel_distinct_id: 'd' },
      { email: 'only@example.com' },
      { first_name: 'nobody' },
      { mixpanel_distinct_id: 'nul\0', email: 'nul@example.com' },
    ],
    parameters: { page_info: undefined, mixpanel_cohort_id: 5000001, mixpanel_cohort_description: undefined },
  });
  await untilApplied(app);
  const run = await app.syncToEnd((await pushedCohort(app)).id);
  expect(run).toMatchObject({
    status: 'PARTIALLY_SUCCEEDED',
    counts: { members: 6, added: 4, rejected: 2 },
  });
  expect(app.iterable.membersOf('mixpanel_Power users_5000001')).toEqual([
    'b@example.com',
    'nul@example.com',
    'only@example.com',
    'seventeen@example.com',
  ]);
  const rejected = await app.readLedger(run.id, { outcome: 'REJECTED' });
  expect(rejected.map(({ distinctId, reason }) => [distinctId, reason])).toEqual(
    expect.arrayContaining([
      ['c', 'INVALID_EMAIL'],
      ['d', 'MISSING_EMAIL'],
    ]),
  );
});

test('what comes only in part removes nobody, is left out after three days, and the cohort says so', async () => {
  await using app = await startTestApp({ now: '2026-06-01T00:00:00Z' });
  await app.connect();
  const { push } = await createPusher(app);
  await push({ session: 's1', members: [pushed('a'), pushed('b')] });
  await untilApplied(app);
  await push({ session: 's2', page: 1, pages: 2, members: [pushed('c')] });
  app.clock.advance({ minutes: 59 });
  expect((await pushedCohort(app)).warning).toBeNull();
  app.clock.advance({ minutes: 2 });
  expect((await pushedCohort(app)).warning).toMatch(/^Mixpanel has pushed nothing since 2026-06-01T00:00:00/);
  app.clock.advance({ hours: 72 });
  await expect
    .poll(async () => (await pushedCohort(app)).warning, { timeout: 30_000 })
    .toMatch(/only 1 came/);
  expect(await pushedMembers(app)).toEqual(['a', 'b']);
  // The page that was missing changes nothing any more. A difference does not make up for what was left out; all members do.
  expect((await push({ session: 's2', page: 2, pages: 2, members: [] })).status).toBe(200);
  await push({ action: 'add_members', session: 's3', members: [pushed('d'), {}] });
  await untilApplied(app);
  expect(await pushedMembers(app)).toEqual(['a', 'b', 'd']);
  expect((await pushedCohort(app)).warning).toMatch(/only 1 came .+ Mixpanel pushed 1 person without /);
  await push({ session: 's4', members: [pushed('a'), pushed('b'), pushed('c')] });
  await untilApplied(app);
  expect((await pushedCohort(app)).warning).toBeNull();
});

test('a cohort that has never come whole changes no list, and is exported as soon as it has', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { push } = await createPusher(app);
  await push({ session: 's1', page: 1, pages: 2, members: [pushed('a')] });
  const cohort = await pushedCohort(app);
  expect(cohort.memberCount).toBeNull();
  const early = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(early).toMatchObject({ status: 'FAILED', error: { code: 'SOURCE_INCOMPLETE', retryable: true } });
  await push({ session: 's1', page: 2, pages: 2, members: [pushed('b')] });
  expect(await app.untilRuns(early.exportId, 2)).toMatchObject({ trigger: 'PUSH', counts: { added: 2 } });
});

test('another Mixpanel project that is connected ends what the old one pushed', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { push } = await createPusher(app);
  await push({ session: 's1', members: [pushed('a')] });
  await untilApplied(app);
  const cohort = await pushedCohort(app);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const other = app.sandbox.mixpanel.addProject();
  const account = other.addServiceAccount();
  await app.connectMixpanel({
    region: other.region,
    projectId: other.id,
    serviceAccountUsername: account.username,
    serviceAccountSecret: account.secret,
  });
  expect((await pushedCohort(app)).present).toBe(false);
  const { export: stopped } = await app.api.query('query ($id: ID!) { export(id: $id) { status } }', {
    id: exportId,
  });
  expect(stopped.status).toBe('STOPPED');
  expect((await push({ session: 's2', members: [] })).status).toBe(400);
});

test('without a connection to Mixpanel nobody knows the rules of identity: no run begins, and none is due', async () => {
  await using app = await startTestApp({ now: '2026-06-01T00:00:00Z' });
  await app.connect();
  const { push } = await createPusher(app);
  await push({ session: 's1', members: [pushed('a')] });
  await untilApplied(app);
  const cohort = await pushedCohort(app);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  await app.api.query('mutation { disconnectMixpanel { id } }');
  const refusal = await app.api.fail('mutation ($id: ID!) { runExport(exportId: $id) { id } }', {
    id: exportId,
  });
  expect(refusal.extensions.code).toBe('MIXPANEL_NOT_CONNECTED');
  app.clock.advance({ minutes: 20 });
  await queueDueRuns(app.app.sync);
  const countRuns = async () =>
    (await app.api.query('query ($id: ID!) { export(id: $id) { runs { totalCount } } }', { id: exportId }))
      .export.runs.totalCount;
  expect(await countRuns()).toBe(1);
  // Connected again, the grid goes on.
  await app.connectMixpanel({ idMerge: 'ORIGINAL' });
  expect(await app.untilRuns(exportId, 2)).toMatchObject({ trigger: 'SCHEDULED', status: 'SUCCEEDED' });
});

test('the sandbox pushes as Mixpanel does: all members once, then who joined and who left, and again after a 503', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { endpoint } = await createPusher(app);
  const cohort = app.mixpanel.addCohort({ name: 'Pushed', members: people(2_500) });
  const push = (options = {}) => pushCohort(app.mixpanel, cohort, endpoint, { firstWaitMs: 1, ...options });
  // Until its last page has come, it has not come.
  expect(await push({ isShuffled: true, leaveOut: 2 })).toMatchObject({ status: 'SUCCEEDED', calls: 2 });
  await applyPushes(app.app.sync);
  expect((await pushedCohort(app)).memberCount).toBeNull();
  expect(await push({ isShuffled: true, isRepeated: true })).toMatchObject({ status: 'SUCCEEDED', calls: 6 });
  await untilApplied(app);
  expect((await pushedCohort(app)).memberCount).toBe(2_500);

  app.mixpanel.setMembers(cohort.id, [...people(2_400), ...people(10, 'new')]);
  await app.api.query('mutation { disconnectMixpanel { id } }');
  expect(await push()).toMatchObject({
    status: 'FAILED',
    calls: 6,
    message: expect.stringMatching(/not connected/),
  });
  await app.connectMixpanel();
  expect(await push()).toMatchObject({ status: 'SUCCEEDED', calls: 2 });
  await untilApplied(app);
  expect((await pushedCohort(app)).memberCount).toBe(2_410);
  const wrong = { ...endpoint, password: 'wrong' };
  expect(await pushCohort(app.mixpanel, cohort, wrong)).toMatchObject({ status: 'PAUSED', calls: 1 });
});
