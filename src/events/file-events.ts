import { setImmediate as giveWay, setTimeout as wait } from 'node:timers/promises';
import { listListIds } from '../../db/queries/export-list.ts';
import { findIntegrationOf, findMixpanel } from '../../db/queries/integration.ts';
import {
  findKnownEvents,
  insertMessagingEvents,
  lockMessaging,
  type NewMessagingEvent,
} from '../../db/queries/messaging-event.ts';
import { endFiling } from '../../db/queries/messaging-filing.ts';
import {
  deleteFromInbox,
  findLastInInbox,
  listInboxProjects,
  loadInbox,
} from '../../db/queries/messaging-inbox.ts';
import type { ProjectScope } from '../../db/queries/scope.ts';
import { stringifyJson } from '../json.ts';
import { createSharedLookup } from '../shared-lookup.ts';
import { isDatabaseError } from '../sync/database-error.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { findLearnedIds, indexLately, type LearnedIds } from '../sync/learned-ids.ts';
import { type BegunFiling, beginFiling } from './begin-filing.ts';
import { countUsage, type UsageChange } from './count-usage.ts';
import { isEcho } from './is-echo.ts';
import { namePerson } from './name-person.ts';
import type { MessagingEvent } from './read-event.ts';
import { type ReadEvent, readInbox } from './read-inbox.ts';

/** A few milliseconds of work; webhooks are answered in between. */
const AT_A_TIME = { events: 100, bytes: 1_000_000 };

/** So that webhooks find the processor free: what comes in a second is filed all through the next one. */
const PAUSE_MS = 40;
/** Who is this far behind hurries. */
const PASSES_BEFORE_HURRY = 20;
const HURRIED_PAUSE_MS = 5;
/** In a row. An import that is written down takes a moment; who takes longer is another process that files. */
const MOST_REFUSALS = 5;
/** What somebody who asks is made to wait for at most. */
const PATIENCE_MS = 5_000;

const ECHO = 'Our own change of a list, told by Iterable.';
const NOBODY = 'It names nobody whom Mixpanel would take: no e-mail and no userId that can be used.';
const RESERVED = 'Mixpanel keeps events of this name for its own identity management.';
/** Refused for all of a batch, when a project is on simplified ID merge. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['$identify', '$create_alias', '$merge']);

/** The books of what Iterable tells. */
export interface EventFiling {
  /**
   * Files what has come in of one project before the call, so that whoever looks at its events sees all of them; as much as
   * can be done while somebody waits. Who asks while another does shares the work. Rejects never: what could not be filed is
   * told by the log, and waits.
   */
  catchUp(projectId: string): Promise<void>;
}

export function createEventFiling(deps: SyncDeps): EventFiling {
  return {
    catchUp: createSharedLookup((projectId) =>
      catchUp(deps, projectId).catch((error) =>
        deps.logger.warn({ err: error, projectId }, 'events could not be filed for somebody who asked'),
      ),
    ),
  };
}

async function catchUp(deps: SyncDeps, projectId: string): Promise<void> {
  const startedAt = performance.now();
  const last = await findLastInInbox(deps.db, projectId);
  let filed = '0';
  while (last !== undefined && BigInt(filed) < BigInt(last)) {
    if (performance.now() - startedAt > PATIENCE_MS) return;
    const some = await fileSome(deps, projectId);
    if (some === 'NOTHING') return;
    // Another process files them meanwhile, or indexes people.
    if (some === 'BUSY') await wait(PAUSE_MS);
    else {
      filed = some.last;
      await giveWay();
    }
  }
}

/**
 * Files what came in of all projects, in turns, so that a project of which much comes holds up nobody else. Any number of
 * processes may call it at once; one of them works for a project.
 */
export async function fileEvents(deps: SyncDeps, signal: AbortSignal): Promise<void> {
  const refusals = new Map<string, number>();
  for (let pass = 1; !signal.aborted; pass++) {
    const projectIds = (await listInboxProjects(deps.db)).filter(
      (id) => (refusals.get(id) ?? 0) < MOST_REFUSALS,
    );
    if (projectIds.length === 0) return;
    if (pass > 1) {
      const isHurried = pass >= PASSES_BEFORE_HURRY && projectIds.every((id) => !refusals.has(id));
      await wait(isHurried ? HURRIED_PAUSE_MS : PAUSE_MS);
    }
    for (const projectId of projectIds) {
      if (signal.aborted) return;
      try {
        const isBusy = (await fileSome(deps, projectId)) === 'BUSY';
        if (isBusy) refusals.set(projectId, (refusals.get(projectId) ?? 0) + 1);
        else refusals.delete(projectId);
      } catch (error) {
        if (signal.aborted) return;
        refusals.set(projectId, MOST_REFUSALS);
        deps.logger.warn({ err: error, projectId }, 'filing events failed; the next beat tries again');
      }
    }
  }
}

/** BUSY when another process is at it. */
async function fileSome(deps: SyncDeps, projectId: string): Promise<{ last: string } | 'NOTHING' | 'BUSY'> {
  if (!(await indexLately(deps, projectId))) return 'BUSY';
  const begun = await beginFiling(deps, projectId, AT_A_TIME.events);
  if (typeof begun !== 'object' || 'last' in begun) return begun;
  try {
    return await fileBatch(deps, projectId, begun);
  } catch (error) {
    // No fault of an event's.
    if (isDatabaseError(error)) await endFiling(deps.db, projectId, begun.attempt).catch(() => undefined);
    throw error;
  }
}

/** Tells repeats, echoes and events apart, says who their people are, and counts them. */
async function fileBatch(
  deps: SyncDeps,
  projectId: string,
  { attempt, isAlone }: BegunFiling,
): Promise<{ last: string } | 'NOTHING' | 'BUSY'> {
  return await deps.db.transaction().execute(async (trx) => {
    await lockMessaging(trx, projectId);
    if (!(await endFiling(trx, projectId, attempt))) return 'BUSY';
    const inbox = await loadInbox(trx, projectId, { ...AT_A_TIME, ...(isAlone ? { events: 1 } : {}) });
    if (inbox.length === 0) return 'NOTHING';
    const read = await readInbox({ ...deps, db: trx }, projectId, inbox);
    const known = await findKnownEvents(
      trx,
      projectId,
      read.map(({ insertId }) => insertId),
    );
    const changes: UsageChange[] = [];
    const fresh: ReadEvent[] = [];
    for (const event of read) {
      const knownAt = known.get(event.insertId);
      if (knownAt) changes.push({ ...changeOf('REPEAT', event, null), at: knownAt });
      else fresh.push(event);
      known.set(event.insertId, knownAt ?? event.at);
    }
    const scope = { db: trx, projectId };
    const { project_type: projectType } = await findIntegrationOf(scope, 'ITERABLE');
    const ourLists = new Set(await listListIds(scope));
    const connection = await findMixpanel(scope);
    // On simplified ID merge the userId is the distinct_id: there is nothing to be looked up.
    const isSought = ({ userId }: MessagingEvent) => connection?.id_merge !== 'SIMPLIFIED' || userId === null;
    const learned = await learn(scope, fresh.filter(isSought));
    const rows = fresh.map((event): NewMessagingEvent => {
      const distinctId = namePerson(event, isSought(event) ? learned : NOTHING_LEARNED, projectType);
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
        data: echo ? null : stringifyJson(event.dataFields),
        state: echo ? 'ECHO' : refusal === null ? 'PENDING' : 'REJECTED',
        detail: echo ? ECHO : refusal,
      };
    });
    await insertMessagingEvents(trx, projectId, rows);
    await countUsage(trx, projectId, { changes, now: deps.clock.now() });
    await deleteFromInbox(
      trx,
      inbox.map(({ id }) => id),
    );
    return { last: inbox.at(-1)!.id };
  });
}

const NOTHING_LEARNED: LearnedIds = { byEmail: new Map(), byUserId: new Map() };

async function learn(scope: ProjectScope, events: readonly MessagingEvent[]): Promise<LearnedIds> {
  const emails = new Set(events.flatMap(({ email }) => email ?? []));
  const userIds = new Set(events.flatMap(({ userId }) => userId ?? []));
  return emails.size + userIds.size === 0
    ? NOTHING_LEARNED
    : await findLearnedIds(scope, { emails, userIds });
}

function changeOf(
  what: UsageChange['what'],
  { name, at, campaignId, campaignName }: MessagingEvent,
  distinctId: string | null,
): UsageChange {
  return { what, event: name, at, distinctId, campaignId, campaignName };
}
