import type { Generated, Selectable } from 'kysely';
import type { GeneratedInt8, Int8 } from './column-types.ts';
import type { MessagingState } from './values.ts';

/** Iterable's events. Months are YYYY-MM, UTC. */
export interface MessagingTables {
  messaging_inbox: InboxTable;
  messaging_filings: FilingTable;
  messaging_set_aside: SetAsideTable;
  messaging_events: EventTable;
  messaging_months: MonthTable;
  messaging_sums: SumTable;
  messaging_people: PersonTable;
  messaging_person_events: PersonEventTable;
  messaging_imports: ImportTable;
}

interface InboxTable {
  id: GeneratedInt8;
  project_id: Int8;
  received_at: Date;
  /** JSON. */
  body: string;
}

interface FilingTable {
  project_id: Int8;
  attempt: string;
  begun_at: Date;
  first_id: Int8 | null;
  last_id: Int8 | null;
  is_alone: boolean;
  alone_until: Int8 | null;
}

interface SetAsideTable {
  id: Int8;
  project_id: Int8;
  received_at: Date;
  /** As it came. */
  body: string;
  reason: string;
  set_aside_at: Date;
}

interface EventTable {
  id: GeneratedInt8;
  project_id: Int8;
  insert_id: string;
  event: string;
  at: Date;
  received_at: Date;
  email: string | null;
  user_id: string | null;
  distinct_id: string | null;
  campaign_id: string | null;
  campaign_name: string | null;
  /** dataFields as JSON. */
  data: string | null;
  state: MessagingState;
  detail: string | null;
}

interface MonthTable {
  project_id: Int8;
  month: string;
  repeats: Generated<number>;
  echoes: Generated<number>;
  counted_users: Generated<number>;
  exempt_only_users: Generated<number>;
  revision: Generated<number>;
}

interface SumTable {
  project_id: Int8;
  month: string;
  event: string;
  exempt: boolean;
  received: Generated<number>;
  imported: Generated<number>;
  rejected: Generated<number>;
  users: Generated<number>;
}

interface PersonTable {
  project_id: Int8;
  month: string;
  person: string;
  counted: number;
  exempt: number;
  first_counted_at: Date | null;
  first_campaign_id: string | null;
  first_campaign_name: string | null;
}

interface PersonEventTable {
  project_id: Int8;
  month: string;
  event: string;
  person: string;
  events: number;
}

interface ImportTable {
  project_id: Int8;
  failures: number;
  retry_at: Date;
}

export type MessagingFilingRow = Selectable<FilingTable>;
export type MessagingEventRow = Selectable<EventTable>;
export type MessagingMonthRow = Selectable<MonthTable>;
export type MessagingSumRow = Selectable<SumTable>;
