import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../clock.ts';
import { createRateLimit } from '../rate-limit.ts';
import {
  type Bucket,
  createUsers,
  type IdentifierKind,
  type IterableProjectType,
  type Profile,
  type Users,
} from './identity.ts';
import type { WebhookTarget } from './send-events.ts';
import { createUserFields, type UserFields } from './user-fields.ts';

export interface SandboxList {
  id: number;
  name: string;
  description?: string;
  listType: 'Standard' | 'Dynamic' | 'Suppression' | 'Internal';
  createdAt: number;
  members: Set<Profile>;
  /** Who is shown by reads: changes show after the visibility delay. */
  pending: { profile: Profile; isMember: boolean; at: number }[];
  visible: Set<Profile>;
  isInUse: boolean;
}

export interface IterableSettings {
  visibilityDelayMs: number;
  /** How long subscribe does not know a new list. */
  unknownAfterCreateMs: number;
  maxBatch: number;
  /** Writes a second; more are answered 429. 0: no limit. */
  writesPerSecond: number;
  answerStyle: '2021' | '2026';
  /** Added to failCount without a name, for people whose identifier is among these. */
  unnamedFailures: string[];
  refusesDuplicateNames: boolean;
  /** People whom list calls refuse, whatever their identifiers look like. */
  refusals: Refusal[];
  /** Told of everybody whom a list call puts on a list or takes off it; null: nobody is. */
  webhook: WebhookTarget | null;
}

export interface Refusal {
  /** The e-mail (in lower case) or userId that is sent. */
  identifier: string;
  bucket: Bucket;
  /** What the answer calls them; the identifier unless given. */
  named?: string;
}

export interface IterableKey {
  key: string;
  readOnly: boolean;
  isRevoked: boolean;
}

/** One Iterable project: keys, users and lists. */
export interface IterableProject {
  id: number;
  type: IterableProjectType;
  dataCenter: 'US' | 'EU';
  settings: IterableSettings;
  users: Users;
  lists: Map<number, SandboxList>;
  keys: Map<string, IterableKey>;
  /** A key of its own, unless one is given. */
  addKey(options?: { readOnly?: boolean; key?: string }): string;
  revokeKey(key: string): void;
  addList(
    name: string,
    options?: { listType?: SandboxList['listType']; id?: number; description?: string | undefined },
  ): SandboxList;
  /** The newest list of that name. */
  list(name: string): SandboxList | undefined;
  deleteList(id: number): void;
  setMember(list: SandboxList, profile: Profile, isMember: boolean): void;
  /** Everybody with that identifier, from the lists too. Gives how many there were. */
  deleteUsers(kind: IdentifierKind, identifier: string): number;
  /** Deletes them, and they cannot be added again. */
  forgetUsers(kind: IdentifierKind, identifier: string): void;
  /** Sorted identifiers of who is on a list: the e-mail, or the userId where the project is keyed by it. */
  membersOf(name: string): string[];
  /** Takes one request from a quota. Gives how long until there is room; 0 when it was taken. */
  takeQuota(name: string, limit: { count: number; windowMs: number }): number;
  /** Of subscribe and unsubscribe together. */
  writes: ReturnType<typeof createRateLimit>;
  /** Names and types of what profiles hold. */
  fields: UserFields;
  /** What the API shows and changes of settings.webhook. */
  webhook: { enabled: boolean; blastSendEnabled: boolean; triggeredSendEnabled: boolean };
}

let nextProjectId = 10_000;

export function createIterableProject(
  clock: SandboxClock,
  nextListId: () => number,
  options: { type: IterableProjectType; dataCenter?: 'US' | 'EU' } & Partial<IterableSettings>,
): IterableProject {
  const { type, dataCenter = 'US', ...given } = options;
  const settings: IterableSettings = {
    visibilityDelayMs: 0,
    unknownAfterCreateMs: 0,
    maxBatch: 1000,
    writesPerSecond: 0,
    answerStyle: '2026',
    unnamedFailures: [],
    refusesDuplicateNames: true,
    refusals: [],
    webhook: null,
    ...given,
  };
  const quotas = new Map<string, ReturnType<typeof createRateLimit>>();
  const project: IterableProject = {
    id: nextProjectId++,
    type,
    dataCenter,
    settings,
    users: createUsers(type),
    lists: new Map(),
    keys: new Map(),
    fields: createUserFields(),
    webhook: { enabled: true, blastSendEnabled: true, triggeredSendEnabled: true },
    takeQuota(name, { count, windowMs }) {
      const key = `${name} ${windowMs}`;
      const quota = quotas.get(key) ?? createRateLimit(clock, windowMs, () => count);
      quotas.set(key, quota);
      return quota.take();
    },
    writes: createRateLimit(clock, 1000, () => settings.writesPerSecond || Number.POSITIVE_INFINITY),
    addKey({ readOnly = false, key = randomBytes(16).toString('hex') } = {}) {
      project.keys.set(key, { key, readOnly, isRevoked: false });
      return key;
    },
    revokeKey(key) {
      project.keys.get(key)!.isRevoked = true;
    },
    addList(name, { listType = 'Standard', id = nextListId(), description } = {}) {
      const list: SandboxList = {
        id,
        name,
        ...(description === undefined ? {} : { description }),
        listType,
        createdAt: clock.now(),
        members: new Set(),
        pending: [],
        visible: new Set(),
        isInUse: false,
      };
      project.lists.set(list.id, list);
      return list;
    },
    list: (name) => [...project.lists.values()].filter((list) => list.name === name).at(-1),
    deleteList: (id) => void project.lists.delete(id),
    setMember(list, profile, isMember) {
      if (isMember) list.members.add(profile);
      else list.members.delete(profile);
      if (settings.visibilityDelayMs > 0) {
        list.pending.push({ profile, isMember, at: clock.now() + settings.visibilityDelayMs });
      } else if (isMember) list.visible.add(profile);
      else list.visible.delete(profile);
    },
    deleteUsers(kind, identifier) {
      const found = project.users.allBy(kind, identifier);
      for (const profile of found) {
        for (const list of project.lists.values()) project.setMember(list, profile, false);
        project.users.remove(profile);
      }
      return found.length;
    },
    forgetUsers(kind, identifier) {
      project.deleteUsers(kind, identifier);
      project.users.forget(kind, identifier);
    },
    membersOf(name) {
      const list = project.list(name);
      if (!list) throw new Error(`There is no list ${name}.`);
      const identify = (profile: Profile) =>
        type === 'USER_ID' ? (profile.userId ?? profile.email) : (profile.email ?? profile.userId);
      return [...list.members].map((profile) => identify(profile) ?? '').sort();
    },
  };
  return project;
}

/** Who reads of the list show now. */
export function visibleMembers(list: SandboxList, now: number): Set<Profile> {
  list.pending = list.pending.filter(({ profile, isMember, at }) => {
    if (at > now) return true;
    if (isMember) list.visible.add(profile);
    else list.visible.delete(profile);
    return false;
  });
  return list.visible;
}
