export type IterableProjectType = 'EMAIL' | 'USER_ID' | 'HYBRID';

export interface Profile {
  email: string | undefined;
  userId: string | undefined;
}

export interface GivenSubscriber {
  email?: string;
  userId?: string;
  preferUserId?: boolean;
}

export type Bucket = 'invalid' | 'notFound' | 'forgotten' | 'conflict' | 'invalidData';

export type Resolved =
  | { profile: Profile }
  | { failure: { bucket: Bucket; kind: 'email' | 'userId'; identifier: string } };

/** The users of one project, and who a subscriber of a list call is among them. */
export interface Users {
  resolve(given: GivenSubscriber, options: { create: boolean; updateExistingOnly: boolean }): Resolved;
  /** Erased for good: they cannot be added again. */
  forget(identifier: string): void;
  remove(profile: Profile): void;
  add(profile: { email?: string; userId?: string }): Profile;
  find(identifier: string): Profile | undefined;
  readonly all: Iterable<Profile>;
}

const EMAIL = /^[^\s@"(),:;<>[\]\\]+@[^\s@.]+(\.[^\s@.]+)*\.[A-Za-z]{2,}$/;
const USER_ID = /^[\x20-\x7e]{0,51}[\x21-\x7e]$/;

export function isEmail(text: string): boolean {
  return EMAIL.test(text);
}

export function createUsers(type: IterableProjectType): Users {
  const byEmail = new Map<string, Profile>();
  const byUserId = new Map<string, Profile>();
  const all = new Set<Profile>();
  const forgotten = new Set<string>();

  function add(given: { email?: string | undefined; userId?: string | undefined }): Profile {
    const profile: Profile = { email: given.email?.toLowerCase(), userId: given.userId };
    all.add(profile);
    index(profile);
    return profile;
  }

  function index(profile: Profile) {
    if (profile.email !== undefined && !byEmail.has(profile.email)) byEmail.set(profile.email, profile);
    if (profile.userId !== undefined && !byUserId.has(profile.userId)) byUserId.set(profile.userId, profile);
  }

  function remove(profile: Profile) {
    all.delete(profile);
    if (byEmail.get(profile.email ?? '') === profile) byEmail.delete(profile.email!);
    if (byUserId.get(profile.userId ?? '') === profile) byUserId.delete(profile.userId!);
  }

  const fail = (bucket: Bucket, kind: 'email' | 'userId', identifier: string): Resolved => ({
    failure: { bucket, kind, identifier },
  });

  function resolve(
    given: GivenSubscriber,
    { create, updateExistingOnly }: { create: boolean; updateExistingOnly: boolean },
  ): Resolved {
    const email = given.email?.toLowerCase();
    const { userId } = given;
    if (email !== undefined && !EMAIL.test(email)) return fail('invalid', 'email', email);
    if (userId !== undefined && !USER_ID.test(userId)) return fail('invalid', 'userId', userId);
    if (email === undefined && userId === undefined) return fail('invalid', 'email', '');
    if (email !== undefined && forgotten.has(email)) return fail('forgotten', 'email', email);
    if (userId !== undefined && forgotten.has(userId)) return fail('forgotten', 'userId', userId);
    if (type === 'EMAIL') return resolveByEmail(email, userId, given.preferUserId === true, create);
    if (type === 'USER_ID') {
      if (userId === undefined) return fail('invalid', 'email', email!);
      const known = byUserId.get(userId);
      if (known) return { profile: known };
      return create && !updateExistingOnly
        ? { profile: add({ userId, email }) }
        : fail('notFound', 'userId', userId);
    }
    const ofEmail = email === undefined ? undefined : byEmail.get(email);
    const ofUserId = userId === undefined ? undefined : byUserId.get(userId);
    if (ofEmail && ofUserId && ofEmail !== ofUserId) return fail('conflict', 'userId', userId!);
    const known = ofEmail ?? ofUserId;
    if (known) {
      known.email ??= email;
      known.userId ??= userId;
      index(known);
      return { profile: known };
    }
    if (create && !updateExistingOnly) return { profile: add({ email, userId }) };
    return email === undefined ? fail('notFound', 'userId', userId!) : fail('notFound', 'email', email);
  }

  /** The e-mail wins, and the stored userId is overwritten with the one that was sent. */
  function resolveByEmail(
    email: string | undefined,
    userId: string | undefined,
    preferUserId: boolean,
    create: boolean,
  ): Resolved {
    if (email === undefined) {
      const known = byUserId.get(userId!);
      if (known) return { profile: known };
      if (!create) return fail('notFound', 'userId', userId!);
      if (!preferUserId) return fail('invalid', 'userId', userId!);
      return { profile: add({ email: `${userId}+${all.size}@placeholder.email`, userId }) };
    }
    let profile = byEmail.get(email);
    if (!profile) {
      if (!create) return fail('notFound', 'email', email);
      profile = add({ email });
    }
    if (create && userId !== undefined) {
      profile.userId = userId;
      index(profile);
    }
    return { profile };
  }

  return {
    resolve,
    add,
    all,
    forget(identifier) {
      const name = identifier.includes('@') ? identifier.toLowerCase() : identifier;
      forgotten.add(name);
      for (const profile of all) if (profile.email === name || profile.userId === name) remove(profile);
    },
    remove,
    find: (identifier) => byEmail.get(identifier.toLowerCase()) ?? byUserId.get(identifier),
  };
}
