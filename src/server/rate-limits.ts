import { RateLimiterMemory, RateLimiterPostgres, type RateLimiterRes } from 'rate-limiter-flexible';
import type { Db } from '../../db/connect.ts';
import { rateLimitClient } from '../../db/queries/rate-limit.ts';
import type { Env } from '../env.ts';
import { PREPARATION_BUDGET } from './bounds.ts';
import { rateLimited } from './refusal.ts';

/** Limits count by the minute. */
const WINDOW_SECONDS = 60;
/** Wrong tokens of one address in a minute: a deployment with a stale token retries some ten times. */
const WRONG_TOKENS_PER_MINUTE = 120;

export interface RateLimits {
  /** Counts a request of an address. Throws RefusalError 429. */
  countRequest(address: string): Promise<void>;
  /** Counts a request of a token, and returns the headers that say how much is left. Throws RefusalError 429 with them. */
  countToken(tokenId: string): Promise<Record<string, string>>;
  /** Counts a mutation of a token, over all processes. Throws RefusalError 429. */
  countMutation(tokenId: string): Promise<void>;
  /** Throws RefusalError 429 once an address has sent too many wrong tokens. */
  requireFewWrongTokens(address: string): Promise<void>;
  countWrongToken(address: string): Promise<void>;
  /** Throws RefusalError 429 when the token has used up the time for documents that are new to us. */
  requirePreparationTime(tokenId: string): Promise<void>;
  countPreparation(tokenId: string, ms: number): Promise<void>;
}

/** Requests are counted in each process, mutations in the database. */
export function createRateLimits(options: { db: Db; limits: Env['rateLimits'] }): RateLimits {
  const { limits } = options;
  const memory = (keyPrefix: string, points: number, duration = WINDOW_SECONDS) =>
    new RateLimiterMemory({ keyPrefix, points, duration });
  const addresses = memory('address', limits.perAddress);
  const tokens = memory('token', limits.perToken);
  const wrongTokens = memory('wrong', WRONG_TOKENS_PER_MINUTE);
  const preparation = memory('preparation', PREPARATION_BUDGET.ms, PREPARATION_BUDGET.perSeconds);
  const mutations = new RateLimiterPostgres({
    storeClient: rateLimitClient(options.db),
    storeType: 'client',
    tableName: 'rate_limits',
    tableCreated: true,
    keyPrefix: 'mutation',
    points: limits.mutationsPerToken,
    duration: WINDOW_SECONDS,
    // A database that cannot count cannot carry the mutation out either, and that says so itself.
    insuranceLimiter: memory('mutation', limits.mutationsPerToken),
  });

  /** Throws what the library throws unless it is a limit that was reached. */
  async function consume(
    limiter: Pick<RateLimiterMemory, 'consume'>,
    key: string,
    what: string,
    headersOf?: (left: RateLimiterRes) => Record<string, string>,
  ): Promise<RateLimiterRes> {
    try {
      return await limiter.consume(key);
    } catch (refused) {
      if (refused instanceof Error) throw refused;
      const left = refused as RateLimiterRes;
      throw tooMany(what, left, headersOf?.(left));
    }
  }

  const tokenHeaders = ({ remainingPoints, msBeforeNext }: RateLimiterRes) => ({
    'ratelimit-limit': String(limits.perToken),
    'ratelimit-remaining': String(remainingPoints),
    'ratelimit-reset': String(Math.ceil(msBeforeNext / 1000)),
  });

  return {
    async countRequest(address) {
      await consume(addresses, address, 'requests from this address');
    },
    async countToken(tokenId) {
      return tokenHeaders(await consume(tokens, tokenId, 'requests with this token', tokenHeaders));
    },
    async countMutation(tokenId) {
      await consume(mutations, tokenId, 'mutations with this token');
    },
    async requireFewWrongTokens(address) {
      const sent = await wrongTokens.get(address);
      if (sent && sent.consumedPoints >= WRONG_TOKENS_PER_MINUTE)
        throw tooMany('wrong tokens from this address', sent);
    },
    async countWrongToken(address) {
      await wrongTokens.penalty(address);
    },
    async requirePreparationTime(tokenId) {
      const used = await preparation.get(tokenId);
      if (used && used.consumedPoints >= PREPARATION_BUDGET.ms)
        throw tooMany('new documents with this token', used);
    },
    async countPreparation(tokenId, ms) {
      await preparation.penalty(tokenId, Math.ceil(ms));
    },
  };
}

function tooMany(what: string, { msBeforeNext }: RateLimiterRes, headers: Record<string, string> = {}) {
  const seconds = Math.max(1, Math.ceil(msBeforeNext / 1000));
  return rateLimited(`Too many ${what}. Try again in ${seconds} s.`, seconds, { headers });
}
