import type { ColumnType, Generated, Selectable } from 'kysely';
import type { GeneratedInt8, Int8 } from './column-types.ts';
import type { Partner, PushAction, PushState } from './values.ts';

/** Where partners call us, and the cohorts that Mixpanel pushes there. */
export interface WebhookTables {
  webhook_endpoints: WebhookEndpointTable;
  pushed_sessions: PushedSessionTable;
  pushed_pages: PushedPageTable;
  pushed_members: PushedMemberTable;
}

interface WebhookEndpointTable {
  id: GeneratedInt8;
  project_id: Int8;
  partner: Partner;
  key: string;
  username: string;
  /** Encrypted; see src/secrets.ts. */
  password: string;
  last_received_at: Date | null;
}

interface PushedSessionTable {
  id: GeneratedInt8;
  cohort_id: Int8;
  action: PushAction;
  session_id: string;
  total_pages: number;
  /** So many from the first are known to be there without a gap; of an EXPIRED one, how many came. */
  pages: Generated<number>;
  state: Generated<PushState>;
  begun_at: Date;
}

interface PushedPageTable {
  session_id: Int8;
  number: number;
  /** Written as text. */
  members: ColumnType<unknown, string, string>;
}

interface PushedMemberTable {
  cohort_id: Int8;
  distinct_id: string;
  email: string | null;
  user_id: string | null;
  is_member: boolean;
  session_id: Int8;
}

export type WebhookEndpointRow = Selectable<WebhookEndpointTable>;
export type PushedSessionRow = Selectable<PushedSessionTable>;
