import { randomBytes } from 'node:crypto';
import type { SandboxClock } from '../clock.ts';
import { createRateLimit } from '../rate-limit.ts';

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
  /** Query API is part of the plan. */
  hasApi: boolean;
  /** Later pages show the cohort as it was at the first one; without, as it is by then. */
  keepsSnapshots: boolean;
}

export interface MixpanelProject {
  id: string;
  region: 'US' | 'EU' | 'IN';
  settings: MixpanelSettings;
  accounts: Map<string, { secret: string; isRevoked: boolean }>;
  cohorts: Map<number, SandboxCohort>;
  sessions: Map<string, { members: MemberList; cohortId: number; pageSize: number; at: number }>;
  queries: ReturnType<typeof createRateLimit>;
  /** Queries under way, and the most that ever were. */
  running: number;
  mostRunning: number;
  addServiceAccount(): { username: string; secret: string };
  revokeServiceAccount(username: string): void;
  addCohort(options: CohortOptions): SandboxCohort;
  setMembers(cohortId: number, members: Member[] | MemberList): void;
  deleteCohort(cohortId: number): void;
}

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
    hasApi: true,
    keepsSnapshots: true,
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
    addServiceAccount() {
      const username = `sync.${randomBytes(3).toString('hex')}.mp-service-account`;
      const secret = randomBytes(16).toString('base64url');
      project.accounts.set(username, { secret, isRevoked: false });
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
