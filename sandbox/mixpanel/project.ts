import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../clock.ts';
import { createRateLimit } from '../rate-limit.ts';
import { createImportedEvents, type ImportedEvents } from './imported-events.ts';
import type { WrittenProfiles } from './profiles.ts';
import { DEFAULT_SETTINGS, type MixpanelSettings } from './settings.ts';

export type { MixpanelSettings };

export interface Member {
  distinctId: string;
  /** Profile properties; undefined: no profile. */
  properties?: Record<string, unknown>;
}

export interface MemberList {
  count: number;
  member(index: number): Member;
}

export interface SandboxCohort {
  id: number;
  name: string;
  description: string;
  isGroup: boolean;
  members: MemberList;
}

export interface CohortOptions {
  id?: number;
  name: string;
  description?: string;
  isGroup?: boolean;
  members: Member[] | MemberList;
}

export interface ServiceAccount {
  secret: string;
  isRevoked: boolean;
  /** Its role in the project suffices for imports. */
  importAllowed: boolean;
}

/** Pages of one query show who it meant when its first page was asked for. */
export interface EngageSession {
  members: MemberList;
  /** Of the query. */
  key: string;
  pageSize: number;
  at: number;
}

export interface MixpanelProject {
  id: string;
  region: 'US' | 'EU' | 'IN';
  /** Names the project in what is sent to it; no secret. */
  token: string;
  /** Opens imports and queries without a service account. */
  secret: string;
  settings: MixpanelSettings;
  accounts: Map<string, ServiceAccount>;
  cohorts: Map<number, SandboxCohort>;
  /** What was written of people, and of groups: it wins over what cohorts say of them. */
  profiles: WrittenProfiles;
  groups: WrittenProfiles;
  sessions: Map<string, EngageSession>;
  queries: ReturnType<typeof createRateLimit>;
  /** Queries under way, and the most that ever were. */
  running: number;
  mostRunning: number;
  /** What was imported. */
  imported: ImportedEvents;
  /** Credentials of its own, unless they are given. */
  addServiceAccount(options?: { importAllowed?: boolean; username?: string; secret?: string }): {
    username: string;
    secret: string;
  };
  revokeServiceAccount(username: string): void;
  addCohort(options: CohortOptions): SandboxCohort;
  setMembers(cohortId: number, members: Member[] | MemberList): void;
  deleteCohort(cohortId: number): void;
}

/** Of every group: a project of the sandbox has one kind of them. */
export const DATA_GROUP_ID = 12_345;

let nextProjectId = 2_000_000;
let nextCohortId = 5_000_000;

export function createMixpanelProject(
  clock: SandboxClock,
  options: Partial<Pick<MixpanelProject, 'id' | 'region' | 'token' | 'secret'> & MixpanelSettings> = {},
): MixpanelProject {
  const {
    id = String(nextProjectId++),
    region = 'US',
    token = randomBytes(16).toString('hex'),
    secret: projectSecret = randomBytes(16).toString('hex'),
    ...given
  } = options;
  const settings: MixpanelSettings = { ...DEFAULT_SETTINGS, ...given };
  const project: MixpanelProject = {
    id,
    region,
    token,
    secret: projectSecret,
    settings,
    accounts: new Map(),
    cohorts: new Map(),
    profiles: new Map(),
    groups: new Map(),
    sessions: new Map(),
    queries: createRateLimit(clock, 3_600_000, () => settings.queriesPerHour),
    running: 0,
    mostRunning: 0,
    imported: createImportedEvents(() => settings.keepsEvents),
    addServiceAccount({
      importAllowed = true,
      username = `sync.${randomBytes(3).toString('hex')}.mp-service-account`,
      secret = randomBytes(16).toString('base64url'),
    } = {}) {
      project.accounts.set(username, { secret, isRevoked: false, importAllowed });
      return { username, secret };
    },
    revokeServiceAccount(username) {
      project.accounts.get(username)!.isRevoked = true;
    },
    addCohort({ id: cohortId = nextCohortId++, name, description = '', isGroup = false, members }) {
      const cohort = { id: cohortId, name, description, isGroup, members: toList(members) };
      project.cohorts.set(cohortId, cohort);
      return cohort;
    },
    setMembers(cohortId, members) {
      project.cohorts.get(cohortId)!.members = toList(members);
    },
    deleteCohort: (cohortId) => void project.cohorts.delete(cohortId),
  };
  return project;
}

export function toList(members: Member[] | MemberList): MemberList {
  return Array.isArray(members) ? { count: members.length, member: (index) => members[index]! } : members;
}
