import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { startAnother } from './support/another-app.ts';
import type { ApiClient } from './support/api-client.ts';
import { furnish } from './support/furnish.ts';
import { runUntilHeld } from './support/held-run.ts';
import { createEventSender } from './support/iterable-events.ts';
import { people, person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';
import { makeProject } from './support/tokens.ts';

const STORY = 'id email distinctIds history { totalCount edges { node { id at outcome } } }';

async function readMember(api: ApiClient, args: string) {
  return (await api.query(`{ member(${args}) { ${STORY} } }`)).member;
}

async function readNode(api: ApiClient, id: string) {
  return (await api.query(`query ($id: ID!) { node(id: $id) { ... on Member { ${STORY} } } }`, { id })).node;
}

/** As far down as base64 may hide something. */
function spellingsOf(id: string, depth = 3): string[] {
  const decoded = id.split(':').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
  return depth === 0 ? [id] : [id, ...decoded.flatMap((text) => spellingsOf(text, depth - 1))];
}

test('the id of a person gives their story again, and tells neither address nor ids', async () => {
  await using app = await startTestApp();
  await furnish(app, app.api, 'mark');
  const member = await readMember(app.api, 'email: " First@Mark.example.com"');
  expect(member).toMatchObject({ email: 'first@mark.example.com', distinctIds: ['first-mark'] });
  expect(await readMember(app.api, 'email: "first@mark.example.com"')).toEqual(member);
  expect(await readNode(app.api, member.id)).toEqual(member);
  for (const text of spellingsOf(member.id)) expect(text.toLowerCase()).not.toMatch(/first|mark/);
  // Another question, another story.
  const byDistinctId = await readMember(app.api, 'distinctId: "first-mark"');
  expect(byDistinctId.id).not.toBe(member.id);
  expect(await readNode(app.api, byDistinctId.id)).toEqual(byDistinctId);
});

test('the id of a person names nobody in another project, though the person is known there too', async () => {
  await using app = await startTestApp();
  await furnish(app, app.api, 'mark');
  const other = await makeProject(app, 'Another');
  await furnish(app, other.api, 'mark');
  const email = 'email: "first@mark.example.com"';
  const { id } = await readMember(app.api, email);
  const { id: otherId } = await readMember(other.api, email);
  expect(otherId).not.toBe(id);
  const decode = (text: string) => Buffer.from(text, 'base64url').toString();
  const [, ourProject, sealed] = decode(id).split(':');
  const [, theirProject] = decode(otherId).split(':');
  const changed = Buffer.from(`Member:${theirProject}:${sealed}`).toString('base64url');
  for (const foreign of [id, changed]) expect(await readNode(other.api, foreign)).toBeNull();
  const cut = Buffer.from(`Member:${ourProject}:${sealed!.slice(0, -8)}`).toString('base64url');
  expect(await readNode(app.api, cut)).toBeNull();
});

test('the id of a person is good for as long as its key is in ENCRYPTION_KEY', async () => {
  await using app = await startTestApp();
  await furnish(app, app.api, 'mark');
  const email = 'email: "first@mark.example.com"';
  const { id } = await readMember(app.api, email);
  const oldKey = app.env.ENCRYPTION_KEY!;
  const newKey = randomBytes(32).toString('base64');
  const startWith = (keys: string) => startAnother(app, { env: { ENCRYPTION_KEY: keys, ROLES: 'gateway' } });
  {
    await using rotated = await startWith(`${newKey},${oldKey}`);
    expect(await readNode(rotated.api, id)).toMatchObject({ email: 'first@mark.example.com' });
  }
  await using last = await startWith(newKey);
  expect(await readNode(last.api, id)).toBeNull();
  const { id: newId } = await readMember(last.api, email);
  expect(await readNode(last.api, newId)).toMatchObject({ id: newId, email: 'first@mark.example.com' });
});

test('the id of a month gives its usage again', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { send } = await createEventSender(app);
  await send({ email: 'a@example.com', eventName: 'emailOpen' });
  const fields = 'id month eventsReceived byEvent { event }';
  const { messagingUsage: usage } = await app.api.query(`{ messagingUsage(month: "2030-01") { ${fields} } }`);
  expect(usage).toMatchObject({ month: '2030-01', eventsReceived: 1 });
  const { node } = await app.api.query(
    `query ($id: ID!) { node(id: $id) { ... on MessagingUsage { ${fields} } } }`,
    { id: usage.id },
  );
  expect(node).toEqual(usage);
});

test('every row of a ledger, of pending removals and of a story has an id of its own, the same each time', async () => {
  await using app = await startTestApp();
  await app.connectMixpanel();
  await app.connectIterable({ removalGuard: { maxShare: 0, minRemovals: 2 } });
  const cohort = await app.addCohort('Trial', [...people(4), { distinctId: 'nobody' }]);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, [person('new'), { distinctId: 'nobody' }]);
  const held = await runUntilHeld(app, exportId);
  const idsOf = (rows: { edges: { node: { id: string } }[] }) => rows.edges.map(({ node }) => node.id);
  const readIds = async () => {
    const { export: exported, member } = await app.api.query(
      `query ($id: ID!) {
        export(id: $id) { runs { edges { node {
          id members { edges { node { id outcome } } } pendingRemovals { edges { node { id } } }
        } } } }
        member(distinctId: "nobody") { history { edges { node { id } } } }
      }`,
      { id: exportId },
    );
    const runs = exported.runs.edges.map((edge: { node: unknown }) => edge.node);
    expect(runs[0].id).toBe(held.id);
    expect(idsOf(runs[0].pendingRemovals)).toHaveLength(4);
    expect(idsOf(member.history)).toHaveLength(1);
    return [
      // Rejected in both runs: one rejection, two rows.
      ...runs.flatMap((run: { members: never; pendingRemovals: never }) => [
        ...idsOf(run.members),
        ...idsOf(run.pendingRemovals),
      ]),
      ...idsOf(member.history),
    ];
  };
  const ids = await readIds();
  expect(ids).toHaveLength(5 + 2 + 4 + 1);
  expect(new Set(ids).size).toBe(ids.length);
  expect(await readIds()).toEqual(ids);
});
