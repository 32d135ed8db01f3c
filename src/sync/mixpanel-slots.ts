import { randomUUID } from 'node:crypto';
import type { Db } from '../../db/connect.ts';
import type { MixpanelProject } from '../../db/queries/mixpanel-line.ts';
import { claimSlots, holdSlots, releaseSlots } from '../../db/queries/mixpanel-slot.ts';

/** A process that is silent for this long has lost its slots. */
const LIFE_MS = 10_000;
/** How often a claim is renewed: so long, and the page under way, a newcomer waits for its first slot. */
const RENEW_MS = 1_000;
/** The same for a process without a slot. */
const WAITING_RENEW_MS = 250;

/** This process's part of the queries that Mixpanel answers at a time; whatever reads in it waits in one line. */
export interface MixpanelSlots {
  /** Runs act while it has a slot. Throws the signal's reason, or the database's error when there was no claim yet. */
  use<T>(project: MixpanelProject, signal: AbortSignal, act: () => Promise<T>): Promise<T>;
  /** Nobody, in any process, begins a query of the project before this time is over. */
  pause(project: MixpanelProject, delayMs: number): Promise<void>;
  /** Slots are free again, also when the database cannot be told: a little later. */
  stop(): Promise<void>;
}

/** Slots are claimed in PostgreSQL once a second while there are queries, whatever their number. */
export function createMixpanelSlots(db: Db): MixpanelSlots {
  const readers = new Map<string, Reader>();
  const readerOf = (project: MixpanelProject): Reader => {
    const key = `${project.region}:${project.mixpanel_project_id}`;
    const reader = readers.get(key) ?? createReader(db, project);
    readers.set(key, reader);
    return reader;
  };
  return {
    async use(project, signal, act) {
      const reader = readerOf(project);
      await reader.begin(signal);
      try {
        return await act();
      } finally {
        reader.end();
      }
    },
    async pause(project, delayMs) {
      await holdSlots(db, project, delayMs);
      readerOf(project).renew();
    },
    async stop() {
      await Promise.all([...readers.values()].map((reader) => reader.stop()));
    },
  };
}

type Reader = ReturnType<typeof createReader>;

interface Waiter {
  begin(): void;
  fail(error: unknown): void;
}

function createReader(db: Db, project: MixpanelProject) {
  const readerId = randomUUID();
  const waiters = new Set<Waiter>();
  let busy = 0;
  /** What is ours, what it is to come down to, and how many queries may be under way now. */
  let slots = 0;
  let share = 0;
  let limit = 0;
  /** Until when the claim is good, by performance.now(); undefined: there is none. */
  let validUntil: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let claiming: Promise<void> | undefined;
  let isClaimOutdated = false;
  let isStopped = false;

  function serve() {
    for (const waiter of waiters) {
      if (busy >= limit || performance.now() >= (validUntil ?? 0)) return;
      waiter.begin();
    }
  }

  /** Gives when to do so again; undefined: when there is a query again. */
  async function claim(): Promise<number | undefined> {
    if (busy === 0 && waiters.size === 0) return await release();
    // What we may have to give back must not be taken while we ask.
    const limitBefore = limit;
    limit = Math.min(limit, busy);
    const askedAt = performance.now();
    try {
      const grant = await claimSlots(db, project, { readerId, busy, lifeMs: LIFE_MS });
      ({ slots, share } = grant);
      limit = grant.heldMs > 0 ? 0 : Math.min(slots, share);
      validUntil = askedAt + LIFE_MS;
      serve();
      if (grant.heldMs > 0) return Math.min(RENEW_MS, grant.heldMs);
      return limit === 0 ? WAITING_RENEW_MS : RENEW_MS;
    } catch (error) {
      limit = limitBefore;
      // Later on the database may be away for a while: queries go on as long as the claim is good.
      if (validUntil === undefined) for (const waiter of waiters) waiter.fail(error);
      return RENEW_MS;
    }
  }

  async function release(): Promise<undefined> {
    limit = 0;
    validUntil = undefined;
    // Untold, they are free when the claim has run out.
    await releaseSlots(db, project, readerId).catch(() => undefined);
  }

  /** One claim at a time; what changes meanwhile is claimed right after it. */
  function renew() {
    if (isStopped) return;
    if (claiming) {
      isClaimOutdated = true;
      return;
    }
    clearTimeout(timer);
    timer = undefined;
    claiming = claim().then((nextMs) => {
      claiming = undefined;
      const isNeeded = isClaimOutdated || (nextMs === undefined && waiters.size > 0);
      const delayMs = isNeeded ? 0 : nextMs;
      isClaimOutdated = false;
      if (!isStopped && delayMs !== undefined) timer = setTimeout(renew, delayMs).unref();
    });
  }

  function stand(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => waiter.fail(signal.reason);
      const waiter: Waiter = {
        begin() {
          leave();
          busy++;
          resolve();
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(waiter);
    });
  }

  return {
    /** Resolves when a query may be sent; whoever sends it tells when it is over. */
    async begin(signal: AbortSignal): Promise<void> {
      signal.throwIfAborted();
      const begun = stand(signal);
      if (validUntil === undefined && !claiming) renew();
      else serve();
      await begun;
    },
    end() {
      busy--;
      // Others wait for what we are to give back.
      if (share < slots && busy <= share) renew();
      else serve();
    },
    renew,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await claiming;
      await release();
    },
  };
}
