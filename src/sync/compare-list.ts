import { hasBit } from '../../db/bits.ts';
import type { Db } from '../../db/connect.ts';
import { setListCompared } from '../../db/queries/export-list.ts';
import {
  insertListBlock,
  loadKeysRemovedSince,
  loadListBlockPeople,
  MARKS,
} from '../../db/queries/list-block.ts';
import { changePlaces, type PlaceChange } from './change-places.ts';
import type { SyncDeps } from './deps.ts';
import { hashKey } from './hash.ts';
import { identityKey } from './identity.ts';
import { partitionOf } from './key-range.ts';
import { loadListedPeople, type Place } from './listed-people.ts';
import { KEY_BYTES, type Person } from './member-record.ts';
import { decodePeople, encodePeople } from './people-block.ts';
import { areAllListed, type ListLine, linesOf, type RealList, readRealList } from './real-list.ts';
import type { RunExecution } from './run-execution.ts';
import type { Spill } from './spill.ts';
import { listedByEmail } from './wrong-project-type.ts';

const BLOCKS_PER_QUERY = 32;
/** So many people show whether a whole list is keyed by e-mail. */
const MOST_UNSEEN = 1_000;
const PEOPLE_PER_BLOCK = 1_000;

/**
 * Reads the real list and makes what we know of it true. The plan that follows repairs what is missing and what is too
 * much.
 */
export async function compareList({
  deps,
  scope,
  destination,
  reporter,
  logger,
}: RunExecution): Promise<void> {
  const real = await readRealList(destination, {
    projectType: scope.integration.project_type!,
    listId: scope.export.list_id!,
    expectedPeople: scope.export.list_size,
    signal: reporter.halt,
  });
  let drift: Drift;
  try {
    drift = await deps.db
      .transaction()
      .execute((trx) => compareWithReal({ ...deps, db: trx }, scope.export.id, real));
  } finally {
    await real.close();
  }
  logger.info(drift, 'compared with the real list');
  if (drift.missing + drift.foreign > 0) {
    reporter.notice({
      code: 'DRIFT_REPAIRED',
      message: `Drift: people missing from the list in Iterable: ${drift.missing}; people on it whom no run had put there: ${drift.foreign}.`,
      count: drift.missing + drift.foreign,
    });
  }
}

export interface Drift {
  /** On the list by all that we know, and not in Iterable. */
  missing: number;
  /** In Iterable, and no run has put them there. */
  foreign: number;
}

/**
 * People who are missing are no longer taken to be on the list, people whom we never put there are. People written more
 * recently than Iterable takes to show it are not judged. Memory is bounded by one range of keys. Within a transaction.
 */
export async function compareWithReal(
  { db, clock, env }: Pick<SyncDeps, 'db' | 'clock' | 'env'>,
  exportId: number,
  { lines: real, byEmail, isByEmailAlone }: RealList,
): Promise<Drift> {
  const now = clock.now();
  const judgedUntil = new Date(now.getTime() - env.visibilityDelayMs);
  const { partitions } = real;
  const drift: Drift = { missing: 0, foreign: 0 };
  const listed = byEmail ? await loadListedPeople(db, exportId) : undefined;
  const hidden = byEmail ? await countHidden(byEmail) : 0;
  const leaving = await loadLeaving(db, exportId, judgedUntil);
  /** E-mails, as keys, of some people who have a userId and do not show by it. */
  const unseen: string[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    const lines = await linesOf(real, partition);
    const emailLines = byEmail ? await linesOf(byEmail, partition) : undefined;
    const changes: { place: Place; change: PlaceChange }[] = [];
    for await (const stay of loadStays(db, exportId, partition, partitions)) {
      const { email, userId } = stay.person;
      const mustShowByUserId = byEmail !== undefined && userId !== null && stay.addedAt <= judgedUntil;
      if (isByEmailAlone && mustShowByUserId && email !== null && unseen.length < MOST_UNSEEN) {
        unseen.push(hashKey(identityKey('HYBRID', { email, userId: null })));
      }
      const isThere = lines.delete(stay.key) || emailLines?.has(stay.key) === true;
      // A userId that looks like an e-mail is listed under the e-mail's key: not judged.
      const isAmbiguous = byEmail !== undefined && stay.person.userId?.includes('@') === true;
      if (isThere && stay.isMissing) changes.push({ place: stay.place, change: { clear: MARKS.missing } });
      if (isThere || isAmbiguous || stay.addedAt > judgedUntil) continue;
      changes.push({ place: stay.place, change: { set: MARKS.missing } });
      drift.missing++;
    }
    const strangers = [...lines].filter(
      ([key, line]) => !leaving.has(key) && !isKnownByUserId(line) && (hidden === 0 || line.kind === 'email'),
    );
    await changePlaces(db, changes);
    await insertStrangers(db, exportId, strangers, now);
    drift.foreign += strangers.length;
  }
  if (unseen.length > 0 && (await areAllListed(real, unseen))) throw listedByEmail();
  await setListCompared(db, exportId, now);
  return drift;

  function isKnownByUserId(line: ListLine): boolean {
    if (!listed) return false;
    const key = hashKey(identityKey('USER_ID', { userId: line.text, email: null }));
    return listed.findKey(key) >= 0;
  }

  /** People sent by e-mail who show by a userId: as long as there are any, an unknown userId may be theirs. */
  async function countHidden(emails: Spill): Promise<number> {
    let count = 0;
    for (let partition = 0; partition < partitions; partition++) {
      const lines = await linesOf(real, partition);
      const emailLines = await linesOf(emails, partition);
      for await (const stay of loadStays(db, exportId, partition, partitions)) {
        if (stay.person.userId === null && !lines.has(stay.key) && emailLines.has(stay.key)) count++;
      }
    }
    return count;
  }
}

/** One person on the list by all that we know. */
interface Stay {
  key: string;
  place: Place;
  person: Person;
  addedAt: Date;
  isMissing: boolean;
}

/** Everybody on the list within a range of keys. */
async function* loadStays(
  db: Db,
  exportId: number,
  partition: number,
  partitions: number,
): AsyncGenerator<Stay> {
  for (let after = '0'; ; ) {
    const blocks = await loadListBlockPeople(db, exportId, { after, limit: BLOCKS_PER_QUERY });
    for (const block of blocks) {
      let people: Person[] | undefined;
      for (let index = 0; index < block.size; index++) {
        const keyAt = index * KEY_BYTES;
        if (!hasBit(block.live, index) || partitionOf(block.keys[keyAt]!, partitions) !== partition) continue;
        people ??= decodePeople(block.people);
        yield {
          key: block.keys.toString('latin1', keyAt, keyAt + KEY_BYTES),
          place: { blockId: block.id, index },
          person: people[index]!,
          addedAt: block.settled_at!,
          isMissing: ((block.marks?.[index] ?? 0) & MARKS.missing) !== 0,
        };
      }
    }
    if (blocks.length < BLOCKS_PER_QUERY) return;
    after = blocks.at(-1)!.id;
  }
}

/** Keys of people who were taken off the list so recently that it may still show them. */
async function loadLeaving(db: Db, exportId: number, since: Date): Promise<Set<string>> {
  const leaving = new Set<string>();
  for (const keys of await loadKeysRemovedSince(db, exportId, since)) {
    for (let at = 0; at < keys.length; at += KEY_BYTES)
      leaving.add(keys.toString('latin1', at, at + KEY_BYTES));
  }
  return leaving;
}

/** People who are on the list by somebody else's doing: the plan decides whether they stay. */
async function insertStrangers(
  db: Db,
  exportId: number,
  strangers: [string, ListLine][],
  now: Date,
): Promise<void> {
  for (let from = 0; from < strangers.length; from += PEOPLE_PER_BLOCK) {
    const block = encodePeople(
      strangers.slice(from, from + PEOPLE_PER_BLOCK).map(([key, line]) => ({
        key,
        distinctId: null,
        email: line.kind === 'email' ? line.text : null,
        userId: line.kind === 'userId' ? line.text : null,
        fingerprint: 0,
        note: 0,
        place: undefined,
      })),
    );
    await insertListBlock(db, exportId, block, now);
  }
}
