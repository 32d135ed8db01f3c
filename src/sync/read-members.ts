import { type CollectedMembers, createMemberCollector, type MemberCollector } from './collect-members.ts';
import type { IdentityRules } from './identity.ts';
import { SessionLostError } from './sources/mixpanel/errors.ts';
import { type MemberSource, SourceError } from './sources/source.ts';

/** A read that lost its session or came up short is begun anew this often. */
const MAX_READS = 2;

export interface ReadOptions {
  source: MemberSource;
  rules: IdentityRules;
  expectedPeople: number;
  signal: AbortSignal;
  /** Before each read: asks for the counted query, if the source has a budget. */
  beforeRead: () => Promise<void>;
  /** Told the share of the expected people that has been read, 0 to 1. */
  onProgress: (share: number) => void;
}

/**
 * Everybody in the cohort, or nothing: a read that breaks off, comes up short of the source's own total or loses its
 * session twice throws SourceError. The caller closes what it gets.
 */
export async function readMembers(options: ReadOptions): Promise<CollectedMembers> {
  let shortfall = 'Mixpanel lost the session of the query';
  for (let read = 1; read <= MAX_READS; read++) {
    await options.beforeRead();
    const collector = createMemberCollector(options.rules, options.expectedPeople);
    try {
      const total = await readOnce(options, collector);
      const members = await collector.finish();
      if (total === null || members.unique >= total) return members;
      shortfall = `the source says that the cohort has ${total} people and gave ${members.unique}`;
    } catch (error) {
      if (!(error instanceof SessionLostError)) {
        await collector.close();
        throw error;
      }
    }
    await collector.close();
  }
  throw new SourceError(
    'SOURCE_INCOMPLETE',
    `The cohort could not be read whole: ${shortfall}, ${MAX_READS} times. Nothing was changed; the next run reads it again.`,
  );
}

async function readOnce(options: ReadOptions, collector: MemberCollector): Promise<number | null> {
  const { total } = await options.source.read(async (page) => {
    await collector.add(page);
    options.onProgress(Math.min(1, collector.received / Math.max(1, options.expectedPeople)));
  }, options.signal);
  return total;
}
