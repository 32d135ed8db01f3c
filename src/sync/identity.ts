import type {
  CohortSource,
  IdMerge,
  IterableProjectType,
  RejectionReason,
  UserIdFallback,
} from '../../db/values.ts';
import { decimal } from '../json.ts';
import { isPlaceholder } from './placeholder.ts';
import type { SourceMember } from './sources/source.ts';

/** What decides how a member of this cohort is called in Iterable. */
export interface IdentityRules {
  projectType: IterableProjectType;
  idMerge: IdMerge;
  userIdFallback: UserIdFallback;
}

/** email and userId are normalised; what is malformed is undefined, unless it is the reason of a rejection. */
export type Identity =
  | { kind: 'subscriber'; email: string | undefined; userId: string | undefined }
  | { kind: 'rejected'; reason: RejectionReason; email: string | undefined; userId: string | undefined };

export interface Subscriber {
  email?: string;
  userId?: string;
}

/** Anonymous people of Mixpanel projects on simplified ID merge have distinct_ids like this. */
const DEVICE_PREFIX = '$device:';
/** 64 for the local part, one @, 255 for the domain (RFC 5321). */
const MAX_EMAIL_LENGTH = 320;
/** Iterable's rule: 1 to 52 printable ASCII characters. */
const USER_ID = /^[\x20-\x7e]{1,52}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it keeps out.
const EMAIL = /^[^\s@\x00-\x1f]+@[^\s@.\x00-\x1f]+(\.[^\s@.\x00-\x1f]+)+$/;

/** Stands for a value that is neither text nor a number with all its digits; no rule takes it for well-formed. */
export const NOT_TEXT = '\uFFFD';

/** FILE cohorts have no Mixpanel project behind them: they follow the rules of original ID merge. */
export function idMergeOf(source: CohortSource, idMerge: IdMerge | undefined): IdMerge {
  return source === 'FILE' ? 'ORIGINAL' : (idMerge ?? 'SIMPLIFIED');
}

/** Who this member is in Iterable, or why Iterable cannot know them. Pure. */
export function resolveIdentity(member: SourceMember, rules: IdentityRules): Identity {
  const email = readEmail(member.email);
  const userId = readUserId(member, rules);
  const goodEmail = email !== undefined && isEmail(email) ? email : undefined;
  const goodUserId = userId !== undefined && USER_ID.test(userId) ? userId : undefined;
  const accepted: Identity = { kind: 'subscriber', email: goodEmail, userId: goodUserId };
  switch (rules.projectType) {
    case 'EMAIL':
      if (goodEmail !== undefined) return accepted;
      return reject(email === undefined ? 'MISSING_EMAIL' : 'INVALID_EMAIL', email, userId);
    case 'USER_ID':
      if (goodUserId !== undefined) return accepted;
      return reject(userId === undefined ? 'MISSING_USER_ID' : 'INVALID_USER_ID', email, userId);
    case 'HYBRID':
      if (goodUserId !== undefined || goodEmail !== undefined) return accepted;
      if (userId !== undefined) return reject('INVALID_USER_ID', email, userId);
      return reject(email === undefined ? 'MISSING_EMAIL' : 'INVALID_EMAIL', email, userId);
  }
}

function reject(reason: RejectionReason, email: string | undefined, userId: string | undefined): Identity {
  return { kind: 'rejected', reason, email: toShow(email), userId: toShow(userId) };
}

/** The one identifier that two members must not share. The letter keeps e-mails and userIds apart. */
export function identityKey(
  projectType: IterableProjectType,
  person: { email: string | null | undefined; userId: string | null | undefined },
): string {
  if (projectType === 'EMAIL') return `e:${person.email}`;
  if (projectType === 'USER_ID' || person.userId != null) return `u:${person.userId}`;
  return `e:${person.email}`;
}

/** What is sent to add them. In an e-mail project the userId is written to the profile; elsewhere it is the key. */
export function toSubscriber(
  projectType: IterableProjectType,
  person: { email: string | null; userId: string | null },
): Subscriber {
  const key = toIdentifier(projectType, person);
  return projectType === 'EMAIL' && person.email !== null && person.userId !== null
    ? { ...key, userId: person.userId }
    : key;
}

/** What is sent to remove them: the one identifier that Iterable knows them by, so that no profile is written to. */
export function toIdentifier(
  projectType: IterableProjectType,
  person: { email: string | null; userId: string | null },
): Subscriber {
  const { email, userId } = person;
  if (email !== null && (projectType === 'EMAIL' || userId === null)) return { email };
  return userId === null ? { email: '' } : { userId };
}

/** Which property a source would have to deliver for anybody to be known in Iterable. */
export function missingIdentityMessage(rules: IdentityRules, source: CohortSource): string {
  const userIdProperty =
    rules.idMerge === 'SIMPLIFIED' ? 'the distinct_id ($user_id)' : 'the property $iterable_user_id';
  const email =
    source === 'FILE'
      ? 'an e-mail address ($email)'
      : 'the property $email (it may be classified in Mixpanel: then the service account needs Classified Data Access)';
  const needs = {
    EMAIL: email,
    USER_ID: userIdProperty,
    HYBRID: `${userIdProperty} or ${email}`,
  }[rules.projectType];
  return `Nobody in the cohort can be known in Iterable: no member has a usable value of ${needs}. Nothing was changed.`;
}

function readEmail(value: unknown): string | undefined {
  const text = readText(value);
  return text === undefined || text === '' ? undefined : text.toLowerCase();
}

function readUserId(member: SourceMember, rules: IdentityRules): string | undefined {
  const distinctId = member.distinctId.trim();
  const ofPerson = distinctId.startsWith(DEVICE_PREFIX) ? undefined : toUserId(distinctId);
  if (rules.idMerge === 'SIMPLIFIED') return ofPerson;
  return toUserId(readText(member.userId)) ?? (rules.userIdFallback === 'DISTINCT_ID' ? ofPerson : undefined);
}

/** Undefined for what names nobody. */
function toUserId(text: string | undefined): string | undefined {
  return text === undefined || text === '' || isPlaceholder(text) ? undefined : text;
}

/** Numbers become their decimal strings; any other value that is no string is there, but never well-formed. */
function readText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value.trim();
  if (typeof value === 'number' || typeof value === 'bigint') return decimal(value) ?? NOT_TEXT;
  return NOT_TEXT;
}

/** For the ledger. PostgreSQL's text cannot hold NUL. */
function toShow(text: string | undefined): string | undefined {
  return text === NOT_TEXT ? undefined : text?.replaceAll('\0', '\uFFFD');
}

function isEmail(text: string): boolean {
  return text.length <= MAX_EMAIL_LENGTH && EMAIL.test(text);
}
