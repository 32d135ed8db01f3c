import { setImmediate as giveWay, setTimeout as wait } from 'node:timers/promises';
import type { Db } from '../../db/connect.ts';
import { listListIds } from '../../db/queries/export-list.ts';
import { findIntegrationOf, findMixpanel } from '../../db/queries/integration.ts';
import {
  findKnownInsertIds,
  insertMessagingEvents,
  lockMessaging,
  type NewMessagingEvent,
  tryLockMessaging,
} from '../../db/queries/messaging-event.ts';
import {
  deleteFromInbox,
  findLastInInbox,
  listInboxProjects,
  loadInbox,
} from '../../db/queries/messaging-inbox.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { findLearnedIds, indexLately, type LearnedIds } from '../sync/learned-ids.ts';
import { countUsage, type UsageChange } from './count-usage.ts';
import { isEcho } from './is-echo.ts';
import { namePerson } from './name-person.ts';
import { type MessagingEvent, readEvent } from './read-event.ts';

/** A few milliseconds of work; webhooks are answered in between. */
const EVENTS_AT_A_TIME = 100;

/** So that webhooks find the processor free: what comes in a second is filed all through the next one. */
const PAUSE_MS = 40;
/** Who is this far behind hurries. */
const PASSES_BEFORE_HURRY = 20;
const HURRIED_PAUSE_MS = 5;
/** What somebody who asks is made to wait for at most. */
const PATIENCE_MS = 5_000;

const ECHO = 'Our own change of a list, told by Iterable.';
const NOBODY = 'It names nobody whom Mixpanel would take: no e-mail and no userId that can be used.';
const RESERVED = 'Mixpanel keeps events of this name for its own identity management.';
/** Refused for all of a batch, when a project is on simplified ID merge. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['$identify', '$create_alias', '$merge']);

/** Files what came in of all projects. Any number of processes may call it at once; one of them works for a project. */
export async function fileEvents(deps: SyncDeps): Promise<void> {
  let projectIds = await listInboxProjects(deps.db);
  // In turns, so that a project of which much comes holds up nobody else.
  for (let pass = 1; projectIds.length > 0; pass++) {
    const withMore: string[] = [];
    for (const projectId of projectIds) {
      try {
        const { count } = await fileSome(deps, projectId, tryLockMessaging);
        if (count === EVENTS_AT_A_TIME) withMore.push(projectId);
      } catch (error) {
        deps.logger.warn({ err: error, projectId }, 'filing events failed; the next beat tries again');
      }
    }
    projectIds = withMore;
    if (projectIds.length > 0) await wait(pass < PASSES_BEFORE_HURRY ? PAUSE_MS : HURRIED_PAUSE_MS);
  }
}

/**
 * Files what has come in of one project before the call, so that whoever looks at its events sees all of them; as much as can
 * be done while somebody waits.
 */
export async function fileEventsOf(deps: SyncDeps, projectId: string): Promise<void> {
  const startedAt = performance.now();
  const last = await findLastInInbox(deps.db, projectId);
  let filed = '0';
  while (last !== undefined && BigInt(filed) < BigInt(last)) {
    const some = await fileSome(deps, projectId, waitForLock);
    if (some.count === 0 || performance.now() - startedAt > PATIENCE_MS) return;
    filed = some.last;
    await giveWay();
  }
}

async function waitForLock(trx: Db, projectId: string): Promise<boolean> {
  await lockMessaging(trx, projectId);
  return true;
}

/** Tells repeats, echoes and events apart, says who their people are, and counts them. Gives how many it was, and the last of them. */
async function fileSome(
  deps: SyncDeps,
  projectId: string,
  lock: (trx: Db, projectId: string) => Promise<boolean>,
): Promise<{ count: number; last: string }> {
  const nothing = { count: 0, last: '0' };
  if (!(await indexLately(deps, projectId))) return nothing;
  return await deps.db.transaction().execute(async (trx) => {
    if (!(await lock(trx, projectId))) return nothing;
    const inbox = await loadInbox(trx, projectId, EVENTS_AT_A_TIME);
    if (inbox.length === 0) return nothing;
    const read = inbox.map(({ body, receivedAt }) => ({ ...readEvent(body, receivedAt), receivedAt }));
    const known = await findKnownInsertIds(
      trx,
      projectId,
      read.map(({ insertId }) => insertId),
    );
    const changes: UsageChange[] = [];
    const fresh: (MessagingEvent & { receivedAt: Date })[] = [];
    for (const event of read) {
      if (known.has(event.insertId)) changes.push(changeOf('REPEAT', event, null));
      else fresh.push(event);
      known.add(event.insertId);
    }
    const scope = { db: trx, projectId };
    const { project_type: projectType } = await findIntegrationOf(scope, 'ITERABLE');
    const ourLists = new Set(await listListIds(scope));
    const learned = await learn(scope, fresh);
    const rows = fresh.map((event): NewMessagingEvent => {
      const distinctId = namePerson(event, learned, projectType);
      const echo = isEcho(event, ourLists);
      const refusal = RESERVED_NAMES.has(event.name) ? RESERVED : distinctId === null ? NOBODY : null;
      changes.push(
        changeOf(echo ? 'ECHO' : refusal === null ? 'RECEIVED' : 'REFUSED_AT_ONCE', event, distinctId),
      );
      return {
        insert_id: event.insertId,
        event: event.name,
        at: event.at,
        received_at: event.receivedAt,
        email: event.email,
        user_id: event.userId,
        distinct_id: distinctId,
        campaign_id: event.campaignId,
        campaign_name: event.campaignName,
        data: echo ? null : JSON.stringify(event.dataFields),
        state: echo ? 'ECHO' : refusal === null ? 'PENDING' : 'REJECTED',
        detail: echo ? ECHO : refusal,
      };
    });
    await insertMessagingEvents(trx, projectId, rows);
    await countUsage(trx, projectId, changes);
    await deleteFromInbox(
      trx,
      inbox.map(({ id }) => id),
    );
    return { count: inbox.length, last: inbox.at(-1)!.id };
  });
}

async function learn(
  scope: { db: Db; projectId: string },
  events: readonly MessagingEvent[],
): Promise<LearnedIds> {
  const connection = await findMixpanel(scope);
  const emails = new Set<string>();
  const userIds = new Set<string>();
  for (const { email, userId } of events) {
    // On simplified ID merge the userId is the distinct_id: there is nothing to be looked up.
    if (connection?.id_merge === 'SIMPLIFIED' && userId !== null) continue;
    if (email !== null) emails.add(email);
    if (userId !== null) userIds.add(userId);
  }
  if (emails.size + userIds.size === 0) return { byEmail: new Map(), byUserId: new Map() };
  return await findLearnedIds(scope, { emails, userIds });
}

function changeOf(
  what: UsageChange['what'],
  { name, at, campaignId, campaignName }: MessagingEvent,
  distinctId: string | null,
): UsageChange {
  return { what, event: name, at, distinctId, campaignId, campaignName };
}
