import { createProfileIndex } from './profile-index.ts';

export type IterableProjectType = 'EMAIL' | 'USER_ID' | 'HYBRID';
export type IdentifierKind = 'email' | 'userId';

export interface Profile {
  email: string | undefined;
  userId: string | undefined;
  /** Besides the identifiers. */
  dataFields: Readonly<Record<string, unknown>>;
}

export interface GivenSubscriber {
  email?: string | undefined;
  userId?: string | undefined;
  preferUserId?: boolean | undefined;
}

export type Bucket = 'invalid' | 'notFound' | 'forgotten' | 'conflict' | 'invalidData';

export interface Failure {
  bucket: Bucket;
  kind: IdentifierKind;
  identifier: string;
}

/** Two failures when both identifiers of a person stand in the way. */
export type Resolved = { profile: Profile } | { failures: Failure[] };

/** The users of one project, and who a subscriber of a call is among them. */
export interface Users {
  resolve(given: GivenSubscriber, options: { create: boolean; updateExistingOnly: boolean }): Resolved;
  /** Erased for good: they cannot be added again. A project's forgetUsers takes them off the lists too. */
  forget(kind: IdentifierKind, identifier: string): void;
  unforget(kind: IdentifierKind, identifier: string): void;
  forgotten(kind: IdentifierKind): string[];
  remove(profile: Profile): void;
  add(profile: { email?: string; userId?: string }): Profile;
  find(identifier: string): Profile | undefined;
  /** The first one of them, where several may share it. */
  findBy(kind: IdentifierKind, identifier: string): Profile | undefined;
  allBy(kind: IdentifierKind, identifier: string): readonly Profile[];
  readonly all: Iterable<Profile>;
}

const EMAIL = /^[^\s@"(),:;<>[\]\\]+@[^\s@.]+(\.[^\s@.]+)*\.[A-Za-z]{2,}$/;
const USER_ID = /^[\x20-\x7e]{0,51}[\x21-\x7e]$/;

export function isEmail(text: string): boolean {
  return EMAIL.test(text);
}

export function isUserId(text: string): boolean {
  return USER_ID.test(text);
}

const NO_FIELDS = {};

export function createUsers(type: IterableProjectType): Users {
  const all = new Set<Profile>();
  const byEmail = createProfileIndex();
  const byUserId = createProfileIndex();
  const indexes = { email: byEmail, userId: byUserId };
  const forgotten = { email: new Set<string>(), userId: new Set<string>() };
  const normalize = (identifier: string, kind: IdentifierKind) =>
    kind === 'email' ? identifier.toLowerCase() : identifier;

  function add(given: { email?: string | undefined; userId?: string | undefined }): Profile {
    const profile: Profile = {
      email: given.email?.toLowerCase(),
      userId: given.userId,
      dataFields: NO_FIELDS,
    };
    all.add(profile);
    byEmail.add(profile.email, profile);
    byUserId.add(profile.userId, profile);
    return profile;
  }

  function remove(profile: Profile) {
    all.delete(profile);
    byEmail.remove(profile.email, profile);
    byUserId.remove(profile.userId, profile);
  }

  /** Gives a profile another identifier, or one that it had not. */
  function identify(profile: Profile, kind: IdentifierKind, identifier: string | undefined) {
    if (identifier === undefined || profile[kind] === identifier) return;
    indexes[kind].remove(profile[kind], profile);
    profile[kind] = identifier;
    indexes[kind].add(identifier, profile);
  }

  const fail = (bucket: Bucket, kind: IdentifierKind, identifier: string): Resolved => ({
    failures: [{ bucket, kind, identifier }],
  });

  function resolve(
    given: GivenSubscriber,
    { create, updateExistingOnly }: { create: boolean; updateExistingOnly: boolean },
  ): Resolved {
    const email = given.email?.toLowerCase();
    const { userId } = given;
    if (email !== undefined && !isEmail(email)) return fail('invalid', 'email', email);
    if (userId !== undefined && !isUserId(userId)) return fail('invalid', 'userId', userId);
    if (email === undefined && userId === undefined) return fail('invalid', 'email', '');
    if (email !== undefined && forgotten.email.has(email)) return fail('forgotten', 'email', email);
    if (userId !== undefined && forgotten.userId.has(userId)) return fail('forgotten', 'userId', userId);
    if (type === 'EMAIL') return resolveByEmail(email, userId, given.preferUserId === true, create);
    const mayAdd = create && !updateExistingOnly;
    return type === 'USER_ID'
      ? resolveByUserId(email, userId, create, mayAdd)
      : resolveByBoth(email, userId, create, mayAdd);
  }

  /** The e-mail wins, and the stored userId is overwritten with the one that was sent. */
  function resolveByEmail(
    email: string | undefined,
    userId: string | undefined,
    preferUserId: boolean,
    create: boolean,
  ): Resolved {
    if (email === undefined) {
      const known = byUserId.first(userId);
      if (known) return { profile: known };
      if (!create) return fail('notFound', 'userId', userId!);
      if (!preferUserId) return fail('invalid', 'userId', userId!);
      return { profile: add({ email: `${userId}+${all.size}@placeholder.email`, userId }) };
    }
    const known = byEmail.first(email);
    if (!known && !create) return fail('notFound', 'email', email);
    const profile = known ?? add({ email });
    if (create) identify(profile, 'userId', userId);
    return { profile };
  }

  function resolveByUserId(
    email: string | undefined,
    userId: string | undefined,
    create: boolean,
    mayAdd: boolean,
  ): Resolved {
    if (userId === undefined) return fail('invalid', 'email', email!);
    const known = byUserId.first(userId);
    if (known) {
      if (create) identify(known, 'email', email);
      return { profile: known };
    }
    return mayAdd ? { profile: add({ userId, email }) } : fail('notFound', 'userId', userId);
  }

  /** Both must belong to one profile. What exists and belongs elsewhere is named. */
  function resolveByBoth(
    email: string | undefined,
    userId: string | undefined,
    create: boolean,
    mayAdd: boolean,
  ): Resolved {
    const ofEmail = byEmail.first(email);
    const ofUserId = byUserId.first(userId);
    if (email !== undefined && userId !== undefined && ofEmail !== ofUserId) {
      const failures: Failure[] = [];
      if (ofEmail && (ofUserId || ofEmail.userId !== undefined)) {
        failures.push({ bucket: 'conflict', kind: 'email', identifier: email });
      }
      if (ofUserId && (ofEmail || ofUserId.email !== undefined)) {
        failures.push({ bucket: 'conflict', kind: 'userId', identifier: userId });
      }
      if (failures.length > 0) return { failures };
    }
    const known = ofEmail ?? ofUserId;
    if (known) {
      if (create) {
        identify(known, 'email', email);
        identify(known, 'userId', userId);
      }
      return { profile: known };
    }
    if (mayAdd) return { profile: add({ email, userId }) };
    return email === undefined ? fail('notFound', 'userId', userId!) : fail('notFound', 'email', email);
  }

  return {
    resolve,
    add,
    remove,
    all,
    forget(kind, identifier) {
      const name = normalize(identifier, kind);
      forgotten[kind].add(name);
      for (const profile of indexes[kind].all(name)) remove(profile);
    },
    unforget: (kind, identifier) => void forgotten[kind].delete(normalize(identifier, kind)),
    forgotten: (kind) => [...forgotten[kind]],
    find: (identifier) => byEmail.first(identifier.toLowerCase()) ?? byUserId.first(identifier),
    findBy: (kind, identifier) => indexes[kind].first(normalize(identifier, kind)),
    allBy: (kind, identifier) => indexes[kind].all(normalize(identifier, kind)),
  };
}
