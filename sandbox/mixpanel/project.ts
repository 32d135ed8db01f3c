import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../clock.ts';
import { createRateLimit } from '../rate-limit.ts';
import { createImportedEvents, type ImportedEvents } from './imported-events.ts';

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

export interface MixpanelSettings {
  queriesPerHour: number;
  concurrentQueries: number;
  defaultPageSize: number;
  laterPagesCount: boolean;
  sessionLifeMs: number;
  totalOnFirstPageOnly: boolean;
  /** Added to the total that is told. */
  totalError: number;
  /** The only Data View that can be read; null: the project has none. */
  workspaceId: string | null;
  /** Query API is part of the plan. */
  hasApi: boolean;
  /** Later pages show the cohort as it was at the first one; without, as it is by then. */
  keepsSnapshots: boolean;
  /** SIMPLIFIED: events need no distinct_id beside $user_id or $device_id, and those that merge identities are refused. */
  idMerge: 'ORIGINAL' | 'SIMPLIFIED';
  /** Its service accounts may import. */
  importAllowed: boolean;
  /** Of one import, once it is uncompressed. */
  maxImportBytes: number;
  /** What the answer calls the $insert_id of a record that failed. */
  insertIdSpelling: 'insert_id' | '$insert_id';
  /** Records that failed are told with their index; without, only the messages are. */
  namesFailures: boolean;
  /** Places in the batch of records that failed. */
  tellsIndex: boolean;
  /** Events that are refused whatever they look like. */
  refusedEvents: RefusedEvent[];
  /** Taken off the number that is told of an import that went well. */
  liesAbout: number;
  /** Without, events are counted only, so that any number of them can be imported. */
  keepsEvents: boolean;
}

/** Meets events of this $insert_id and of this name; of any where none is given. */
export interface RefusedEvent {
  insertId?: string | undefined;
  event?: string | undefined;
  message: string;
}

export interface ServiceAccount {
  secret: string;
  isRevoked: boolean;
  /** Its role in the project suffices for imports. */
  importAllowed: boolean;
}

export interface MixpanelProject {
  id: string;
  region: 'US' | 'EU' | 'IN';
  settings: MixpanelSettings;
  accounts: Map<string, ServiceAccount>;
  cohorts: Map<number, SandboxCohort>;
  sessions: Map<string, { members: MemberList; cohortId: number; pageSize: number; at: number }>;
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

/** What Mixpanel's answer to a larger one names. */
export const MAX_IMPORT_BYTES = 2_097_152;

let nextProjectId = 2_000_000;
let nextCohortId = 5_000_000;

export function createMixpanelProject(
  clock: SandboxClock,
  options: { id?: string; region?: 'US' | 'EU' | 'IN' } & Partial<MixpanelSettings> = {},
): MixpanelProject {
  const { id = String(nextProjectId++), region = 'US', ...given } = options;
  const settings: MixpanelSettings = {
    queriesPerHour: 60,
    concurrentQueries: 5,
    defaultPageSize: 1000,
    laterPagesCount: false,
    sessionLifeMs: 30 * 60_000,
    totalOnFirstPageOnly: false,
    totalError: 0,
    workspaceId: null,
    hasApi: true,
    keepsSnapshots: true,
    idMerge: 'SIMPLIFIED',
    importAllowed: true,
    maxImportBytes: MAX_IMPORT_BYTES,
    insertIdSpelling: 'insert_id',
    namesFailures: true,
    tellsIndex: true,
    refusedEvents: [],
    liesAbout: 0,
    keepsEvents: true,
    ...given,
  };
  const project: MixpanelProject = {
    id,
    region,
    settings,
    accounts: new Map(),
    cohorts: new Map(),
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

function toList(members: Member[] | MemberList): MemberList {
  return Array.isArray(members) ? { count: members.length, member: (index) => members[index]! } : members;
}
