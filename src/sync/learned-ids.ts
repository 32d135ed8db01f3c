import { setImmediate as giveWay } from 'node:timers/promises';
import { hasBit } from '../../db/bits.ts';
import { loadRejectedIds, loadStoryBlocks } from '../../db/queries/member.ts';
import {
  listUnindexedBlocksOf,
  loadSegmentBlocks,
  loadSegmentParts,
} from '../../db/queries/people-segment.ts';
import type { ProjectScope } from '../../db/queries/scope.ts';
import type { SyncDeps } from './deps.ts';
import { indexPeople } from './index-people.ts';
import { decodePeople } from './people-block.ts';
import { decodeEntries, hashOf, hashValue, partOf, placeOf } from './people-segment.ts';

/** So many blocks are searched whole, some 100 kB each; more are indexed first. */
const MAX_UNINDEXED = 32;
const BLOCKS_PER_QUERY = 8;

type Field = 'email' | 'userId';

interface Learned {
  distinctId: string;
  isListed: boolean;
  at: number;
}

/** What syncs have learned of the distinct_ids of people in Iterable. */
export interface LearnedIds {
  byEmail: ReadonlyMap<string, string>;
  byUserId: ReadonlyMap<string, string>;
}

/**
 * Indexes people of the project who were synced in the last seconds, unless they are few: nobody else does it before their run
 * is over. False when another process is at it. Not within a transaction.
 */
export async function indexLately(
  { db, clock }: Pick<SyncDeps, 'db' | 'clock'>,
  projectId: string,
): Promise<boolean> {
  while ((await listUnindexedBlocksOf(db, projectId, MAX_UNINDEXED + 1)).length > MAX_UNINDEXED) {
    if ((await indexPeople(db, clock.now(), { freshMs: 0 })) === 0) return false;
  }
  return true;
}

/** Who these e-mails and userIds are in Mixpanel: who bears them on a list now, else who bore them last. After indexLately. */
export async function findLearnedIds(
  scope: ProjectScope,
  sought: { emails: ReadonlySet<string>; userIds: ReadonlySet<string> },
): Promise<LearnedIds> {
  const unindexed = await listUnindexedBlocksOf(scope.db, scope.projectId);
  const found = { email: new Map<string, Learned>(), userId: new Map<string, Learned>() };
  const learn = (field: Field, value: string, learned: Learned) => {
    const before = found[field].get(value);
    if (!before || isBetter(learned, before)) found[field].set(value, learned);
  };
  const ids = [
    ...new Set([...unindexed, ...(await findBlocks(scope, [...sought.emails, ...sought.userIds]))]),
  ];
  for (let from = 0; from < ids.length; from += BLOCKS_PER_QUERY) {
    for (const block of await loadStoryBlocks(scope, ids.slice(from, from + BLOCKS_PER_QUERY))) {
      // A block takes a millisecond, and webhooks are answered meanwhile.
      await giveWay();
      decodePeople(block.people).forEach(({ distinctId, email, userId }, index) => {
        if (distinctId === null) return;
        const learned = { distinctId, isListed: hasBit(block.live, index), at: block.settled_at.getTime() };
        if (email !== null && sought.emails.has(email)) learn('email', email, learned);
        if (userId !== null && sought.userIds.has(userId)) learn('userId', userId, learned);
      });
    }
  }
  for (const [field, column, values] of [
    ['email', 'email', sought.emails],
    ['userId', 'user_id', sought.userIds],
  ] as const) {
    if (values.size === 0) continue;
    for (const { value, distinctId, at } of await loadRejectedIds(scope, column, [...values])) {
      learn(field, value, { distinctId, isListed: false, at: at.getTime() });
    }
  }
  return { byEmail: toIds(found.email), byUserId: toIds(found.userId) };
}

/** Blocks that may hold any of these values. */
async function findBlocks({ db }: ProjectScope, values: string[]): Promise<string[]> {
  const hashes = new Set(values.map(hashValue));
  if (hashes.size === 0) return [];
  const places: { segmentId: string; place: number }[] = [];
  for (const { id, entries } of await loadSegmentParts(db, [...new Set([...hashes].map(partOf))])) {
    for (const entry of decodeEntries(entries)) {
      if (hashes.has(hashOf(entry))) places.push({ segmentId: id, place: placeOf(entry) });
    }
  }
  return await loadSegmentBlocks(db, places);
}

function isBetter(learned: Learned, before: Learned): boolean {
  if (learned.isListed !== before.isListed) return learned.isListed;
  return learned.at > before.at;
}

function toIds(found: ReadonlyMap<string, Learned>): Map<string, string> {
  return new Map([...found].map(([value, { distinctId }]) => [value, distinctId]));
}
