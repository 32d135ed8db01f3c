import type { PushAction } from '../../../../db/values.ts';
import { decimal } from '../../../json.ts';
import { type IdentityRules, NOT_TEXT, resolveIdentity } from '../../identity.ts';
import { isPlaceholder } from '../../placeholder.ts';

/** distinct_id, e-mail and userId as far as they are told; text that no rule takes for well-formed stands for what is none. */
export type PushedRow = [distinctId: string, email: string | null, userId: string | null];

/** Mixpanel's own have 255 at most; an index of PostgreSQL takes no more than 2,700 bytes. */
const MAX_DISTINCT_ID_LENGTH = 600;

/**
 * Null for a row that names nobody. Of people to be removed e-mail and userId are kept only if they are well-formed: they may be
 * found by them, and what is no identity is shared by people who have nothing to do with each other.
 */
export function readRow(item: unknown, action: PushAction): PushedRow | null {
  if (typeof item !== 'object' || item === null) return null;
  const member = item as Record<string, unknown>;
  const email = readText(member.email) ?? readText(member.$email);
  const userId = readText(member.$iterable_user_id);
  // Blanks around a distinct_id are kept: two that differ by them are two people in Mixpanel. One that cannot be read is somebody
  // else's than the e-mail's: a removal under it would find nobody.
  const distinctId = [
    readText(member.mixpanel_distinct_id, keepBlanks),
    readText(member.$distinct_id, keepBlanks),
    email,
  ].find((id) => id !== undefined && !isPlaceholder(id));
  if (distinctId === undefined || distinctId === NOT_TEXT || distinctId.length > MAX_DISTINCT_ID_LENGTH) {
    return null;
  }
  if (action === 'remove_members') return [distinctId, ...readIdentity(distinctId, email, userId)];
  return [distinctId, email ?? null, userId === undefined || isPlaceholder(userId) ? null : userId];
}

const WELL_FORMED: IdentityRules = { projectType: 'HYBRID', idMerge: 'ORIGINAL', userIdFallback: 'NONE' };

function readIdentity(
  distinctId: string,
  email: string | undefined,
  userId: string | undefined,
): [email: string | null, userId: string | null] {
  const readable = email?.includes(NOT_TEXT) ? undefined : email;
  const identity = resolveIdentity({ distinctId, email: readable, userId }, WELL_FORMED);
  return identity.kind === 'rejected' ? [null, null] : [identity.email ?? null, identity.userId ?? null];
}

const keepBlanks = (text: string) => text;
const trim = (text: string) => text.trim();

/** A blank value is absent. */
function readText(value: unknown, shape: (text: string) => string = trim): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' || typeof value === 'bigint') return decimal(value) ?? NOT_TEXT;
  if (typeof value !== 'string') return NOT_TEXT;
  return value.trim() === '' ? undefined : shape(clean(value));
}

/** PostgreSQL's text cannot hold NUL, and JSON no half of a surrogate pair. */
export function clean(value: string): string {
  return value.replaceAll('\0', NOT_TEXT).toWellFormed();
}
