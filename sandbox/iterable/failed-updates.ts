import type { SandboxReply } from '../http.ts';
import { ok } from './answers.ts';
import type { Bucket, Failure } from './identity.ts';

const BUCKETS: readonly Bucket[] = ['invalid', 'notFound', 'forgotten', 'conflict', 'invalidData'];

/** Counts the people of an update, and names who failed. */
export interface UpdateTally {
  /** One person, with everything that stood in the way. */
  fail(failures: readonly Failure[]): void;
  toAnswer(
    total: number,
    style: '2021' | '2026',
    fields?: { created: string[]; filteredOut: string[] },
  ): SandboxReply;
}

export function createUpdateTally(): UpdateTally {
  const names = new Map<string, Set<string>>();
  let failCount = 0;
  const array = (name: string) => [...(names.get(name) ?? [])];
  return {
    fail(failures) {
      failCount++;
      for (const { bucket, kind, identifier } of failures) {
        const name = `${bucket}${kind === 'email' ? 'Emails' : 'UserIds'}`;
        names.set(name, (names.get(name) ?? new Set()).add(identifier));
      }
    },
    toAnswer(total, style, fields = { created: [], filteredOut: [] }) {
      const answer = {
        successCount: total - failCount,
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
        filteredOutFields: fields.filteredOut,
        createdFields: fields.created,
        failedUpdates,
      });
    },
  };
}
