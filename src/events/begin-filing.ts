import { randomUUID } from 'node:crypto';
import { tryLockMessaging } from '../../db/queries/messaging-event.ts';
import { findFiling, noteFiling, setAside } from '../../db/queries/messaging-filing.ts';
import { listInboxIds } from '../../db/queries/messaging-inbox.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { planFiling } from './plan-filing.ts';

/** For the operator; the line has project, event and reason, and the event is in messaging_set_aside. */
export const SET_ASIDE = 'an event of Iterable cannot be filed and was set aside; it is in no sum';

const UNFINISHED_TWICE = 'Filing it was begun twice and never finished.';

export interface BegunFiling {
  attempt: string;
  /** One event, the oldest. */
  isAlone: boolean;
}

/**
 * Notes, in a transaction of its own, that the oldest events of a project are about to be filed. So who comes after a process
 * that did not survive it knows, tries them one by one, and sets aside the one that is to blame; then last is its id. BUSY when
 * somebody else is at it.
 */
export async function beginFiling(
  { db, clock, logger }: Pick<SyncDeps, 'db' | 'clock' | 'logger'>,
  projectId: string,
  events: number,
): Promise<BegunFiling | { last: string } | 'NOTHING' | 'BUSY'> {
  return await db.transaction().execute(async (trx) => {
    if (!(await tryLockMessaging(trx, projectId))) return 'BUSY';
    const previous = await findFiling(trx, projectId);
    if (previous?.isNoted) return 'BUSY';
    const [first, ...others] = await listInboxIds(trx, projectId, events);
    if (first === undefined) return 'NOTHING';
    const plan = planFiling([first, ...others], previous);
    const attempt = randomUUID();
    const { aloneUntil } = plan;
    if (plan.kind === 'SET_ASIDE') {
      const { id } = plan;
      await setAside(trx, { ids: [id], reason: UNFINISHED_TWICE, now: clock.now() });
      await noteFiling(trx, projectId, { attempt, firstId: null, lastId: null, isAlone: true, aloneUntil });
      logger.warn({ projectId, id, reason: UNFINISHED_TWICE }, SET_ASIDE);
      return { last: id };
    }
    const { firstId, lastId, isAlone } = plan;
    await noteFiling(trx, projectId, { attempt, firstId, lastId, isAlone, aloneUntil });
    return { attempt, isAlone };
  });
}
