import type { IterableProjectType } from '../../db/values.ts';
import type { LearnedIds } from '../sync/learned-ids.ts';
import { isPlaceholder } from '../sync/placeholder.ts';
import type { MessagingEvent } from './read-event.ts';

/** Mixpanel cuts longer text, and an index of PostgreSQL takes no more than 2,700 bytes. */
const MAX_LENGTH = 255;

/**
 * The distinct_id of the person of an event: what syncs have learned of them, else their userId, else their e-mail. Null when
 * it names nobody whom Mixpanel would take. Pure.
 */
export function namePerson(
  { email, userId }: Pick<MessagingEvent, 'email' | 'userId'>,
  learned: LearnedIds,
  projectType: IterableProjectType | null,
): string | null {
  const byUserId = userId === null ? undefined : learned.byUserId.get(userId);
  const byEmail = email === null ? undefined : learned.byEmail.get(email);
  // In projects that key their users by e-mail several may share a userId.
  const known = projectType === 'EMAIL' ? [byEmail, byUserId] : [byUserId, byEmail];
  return [...known, userId, email].find((id) => id != null && isUsable(id)) ?? null;
}

function isUsable(id: string): boolean {
  return id.length <= MAX_LENGTH && !isPlaceholder(id);
}
