import type { SandboxReply } from '../http.ts';
import { ok } from './answers.ts';
import type { Bucket, Failure, Profile } from './identity.ts';

const BUCKETS: readonly Bucket[] = ['invalid', 'notFound', 'forgotten', 'conflict', 'invalidData'];

export type Counted =
  | { profile: Profile; created?: string[]; filteredOut?: string[] }
  /** Everything that stood in the way of one person; nothing for one who is not named. */
  | { failures: Failure[] };

/** Counts the people of an update, and names who failed. */
export interface UpdateTally {
  count(outcome: Counted): void;
  toAnswer(style: '2021' | '2026'): SandboxReply;
}

export function createUpdateTally(): UpdateTally {
  const names = new Map<string, Set<string>>();
  const created = new Set<string>();
  const filteredOut = new Set<string>();
  let successCount = 0;
  let failCount = 0;
  const array = (name: string) => [...(names.get(name) ?? [])];
  return {
    count(outcome) {
      if ('failures' in outcome) {
        failCount++;
        for (const { bucket, kind, identifier } of outcome.failures) {
          const name = `${bucket}${kind === 'email' ? 'Emails' : 'UserIds'}`;
          names.set(name, (names.get(name) ?? new Set()).add(identifier));
        }
        return;
      }
      successCount++;
      for (const name of outcome.created ?? []) created.add(name);
      for (const name of outcome.filteredOut ?? []) filteredOut.add(name);
    },
    toAnswer(style) {
      const answer = {
        successCount,
        failCount,
        invalidEmails: array('invalidEmails'),
        invalidUserIds: array('invalidUserIds'),
      };
      if (style === '2021') return ok(answer);
      const failedUpdates = Object.fromEntries(
        BUCKETS.flatMap((bucket) => [`${bucket}Emails`, `${bucket}UserIds`]).map((name) => [
          name,
          array(name),
        ]),
      );
      return ok({
        ...answer,
        filteredOutFields: [...filteredOut],
        createdFields: [...created],
        failedUpdates,
      });
    },
  };
}
