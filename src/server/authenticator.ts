import { LRUCache } from 'lru-cache';
import type { Viewer } from '../context.ts';
import { findViewerBySecret, hashSecret, isStale } from '../resolvers/api-token.ts';
import { createSharedLookup } from '../shared-lookup.ts';
import type { SyncDeps } from '../sync/deps.ts';
import {
  MAX_REMEMBERED_TOKENS,
  MAX_TOKEN_LOOKUPS,
  MAX_WAITING_TOKEN_LOOKUPS,
  TOKEN_MEMORY_MS,
} from './bounds.ts';
import { createExecutionSlots } from './execution-slots.ts';
import type { RateLimits } from './rate-limits.ts';
import { unauthenticated } from './refusal.ts';

export interface Authenticated {
  viewer: Viewer;
  expiresAt: Date | null;
  lastUsedAt: Date;
}

export interface Authenticator {
  /** Who the header speaks for. Throws RefusalError: 401 for nobody, 429 after many wrong tokens from the address. */
  authenticate(authorization: string | undefined, address: string): Promise<Authenticated>;
  /** The token opens nothing from now on. */
  forget(tokenId: string): void;
  /** Something may have gone unheard, or there are tokens that were not there before. */
  forgetAll(): void;
}

/** What can be one of our secrets; anything else is none without a look into the database. */
const SECRET = /^Bearer +([A-Za-z0-9_-]{32,200})$/i;

/**
 * Looks tokens up and remembers what it found for a few seconds, wrong ones too. A token that is revoked anywhere is forgotten
 * as soon as that is heard of; while nothing can be heard, nothing is remembered.
 */
export function createAuthenticator(options: {
  sync: Pick<SyncDeps, 'db' | 'clock'>;
  limits: RateLimits;
  isHearing: () => boolean;
}): Authenticator {
  const { sync, limits, isHearing } = options;
  const remembered = new LRUCache<string, { found: Authenticated | undefined; at: number }>({
    max: MAX_REMEMBERED_TOKENS,
    ttl: TOKEN_MEMORY_MS,
  });
  const slots = createExecutionSlots({
    maxCost: MAX_TOKEN_LOOKUPS,
    maxCostPerKey: MAX_TOKEN_LOOKUPS / 2,
    maxWaitingPerKey: MAX_WAITING_TOKEN_LOOKUPS / 4,
    maxWaiting: MAX_WAITING_TOKEN_LOOKUPS,
  });
  /** Hashes of tokens that were good once: what an attacker sends from the same address does not lock their owners out. */
  const wereGood = new LRUCache<string, true>({ max: MAX_REMEMBERED_TOKENS });
  /** Grows when tokens are forgotten: what was looked up before that is not remembered after it. */
  let generation = 0;

  const lookUp = createSharedLookup(async (hash) => {
    const before = generation;
    const found = await findViewerBySecret(sync, Buffer.from(hash, 'latin1'));
    if (generation === before && isHearing()) {
      remembered.set(hash, { found, at: sync.clock.now().getTime() });
    }
    return found;
  });

  function recall(hash: string): { found: Authenticated | undefined } | undefined {
    const known = remembered.get(hash);
    if (!known || !isHearing()) return undefined;
    const now = sync.clock.now();
    // A clock that is moved by hand makes it old too.
    const isOld =
      now.getTime() - known.at >= TOKEN_MEMORY_MS || (known.found && isStale(known.found.lastUsedAt, now));
    return isOld ? undefined : known;
  }

  return {
    async authenticate(authorization, address) {
      const secret = SECRET.exec(authorization ?? '')?.[1];
      if (secret === undefined) throw unauthenticated();
      const hash = hashSecret(secret).toString('latin1');
      let known = recall(hash);
      if (!known) {
        if (!wereGood.has(hash)) await limits.requireFewWrongTokens(address);
        const free = await slots.acquire({ key: address, cost: 1, signal: new AbortController().signal });
        known = { found: await lookUp(hash).finally(free) };
        if (known.found) wereGood.set(hash, true);
        else await limits.countWrongToken(address);
      }
      const { found } = known;
      if (!found || (found.expiresAt && found.expiresAt <= sync.clock.now())) throw unauthenticated();
      return found;
    },
    forget(tokenId) {
      generation++;
      for (const [hash, { found }] of remembered.entries())
        if (found?.viewer.tokenId === tokenId) remembered.delete(hash);
    },
    forgetAll() {
      generation++;
      remembered.clear();
    },
  };
}
