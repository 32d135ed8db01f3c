import { type CollectedMembers, createMemberCollector, type MemberCollector } from './collect-members.ts';
import type { IdentityRules } from './identity.ts';
import type { ListedPeople } from './listed-people.ts';
import type { ReadDistinctIds } from './repeated-members.ts';
import { SessionLostError } from './sources/mixpanel/errors.ts';
import { type MemberPage, type MemberSource, SourceError } from './sources/source.ts';

/** A read that lost its session or came up short is begun anew this often. */
const MAX_READS = 2;

export interface ReadOptions {
  source: MemberSource;
  rules: IdentityRules;
  /** Loads whom the members are compared with, anew for each read: it notes who has been seen. */
  loadListed: () => Promise<{ listed: ListedPeople; readDistinctIds: ReadDistinctIds }>;
  /** As last reported; the source's own total goes before it. */
  expectedPeople: number;
  signal: AbortSignal;
  /** Before each read: asks for the counted query, if the source has a budget. */
  beforeRead: () => Promise<void>;
  /** Told the share of the people that has been read, 0 to 1. */
  onProgress: (share: number) => void;
}

/**
 * Everybody in the cohort, or nothing: a read that breaks off, comes up short of the source's own total or loses its
 * session twice throws SourceError. The caller closes what it gets.
 */
export async function readMembers(
  options: ReadOptions,
): Promise<{ members: CollectedMembers; listed: ListedPeople; unreadable: number }> {
  let shortfall = 'Mixpanel lost the session of the query';
  for (let read = 1; read <= MAX_READS; read++) {
    await options.beforeRead();
    const { listed, readDistinctIds } = await options.loadListed();
    const reading = createReading(options, listed);
    try {
      const { total } = await options.source.read(reading.addPage, options.signal);
      const members = await reading.collector().finish(readDistinctIds);
      const unreadable = reading.unreadable();
      // Rows that name nobody are people all the same: a cohort of nothing else is not an empty one.
      const isNobodyNamed = members.unique === 0 && unreadable > 0;
      const isWhole = total === null || members.unique + unreadable >= total;
      if (isWhole && !isNobodyNamed) return { members, listed, unreadable };
      shortfall = isNobodyNamed
        ? `none of its ${unreadable} rows names anybody`
        : `the source says that the cohort has ${total} people and gave ${members.unique}`;
    } catch (error) {
      if (!(error instanceof SessionLostError)) {
        await reading.collector().close();
        throw error;
      }
    }
    await reading.collector().close();
  }
  throw new SourceError(
    'SOURCE_INCOMPLETE',
    `The cohort could not be read whole: ${shortfall}, ${MAX_READS} times. Nothing was changed; the next run reads it again.`,
  );
}

/** The collector is made when the first page tells how many people there are: that decides how they are cut up. */
function createReading({ rules, expectedPeople, onProgress }: ReadOptions, listed: ListedPeople) {
  let collector: MemberCollector | undefined;
  let people = expectedPeople;
  let unreadable = 0;
  const made = () => {
    collector ??= createMemberCollector(rules, people, listed);
    return collector;
  };
  return {
    collector: made,
    unreadable: () => unreadable,
    async addPage(page: MemberPage) {
      if (!collector) people = page.total ?? expectedPeople;
      unreadable += page.unreadable ?? 0;
      await made().add(page);
      onProgress(Math.min(1, made().received / Math.max(1, people)));
    },
  };
}
