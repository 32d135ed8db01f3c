import { sql } from 'kysely';
import { toPlainArray, toTextArray } from '../array-literal.ts';
import type { Db } from '../connect.ts';
import type { MessagingMonthRow, MessagingSumRow } from '../messaging-tables.ts';
import type { ProjectScope } from './scope.ts';

/** What is to be added to the sums of an event's month. */
export interface SumChange {
  month: string;
  event: string;
  exempt: boolean;
  received: number;
  imported: number;
  rejected: number;
  users: number;
}

/** Within a transaction that has the project's lock, as all that writes here. */
export async function addToSums(db: Db, projectId: string, changes: readonly SumChange[]): Promise<void> {
  if (changes.length === 0) return;
  const numbers = (column: 'received' | 'imported' | 'rejected' | 'users') =>
    toPlainArray(changes.map((change) => change[column]));
  await sql`
    insert into messaging_sums as sums (project_id, month, event, exempt, received, imported, rejected, users)
    select ${projectId}::bigint, * from unnest(
      ${toPlainArray(changes.map(({ month }) => month))}::text[],
      ${toTextArray(changes.map(({ event }) => event))}::text[],
      ${toPlainArray(changes.map(({ exempt }) => String(exempt)))}::boolean[],
      ${numbers('received')}::int[], ${numbers('imported')}::int[], ${numbers('rejected')}::int[],
      ${numbers('users')}::int[]
    )
    on conflict (project_id, month, event) do update set
      received = sums.received + excluded.received, imported = sums.imported + excluded.imported,
      rejected = sums.rejected + excluded.rejected, users = sums.users + excluded.users
  `.execute(db);
}

export interface MonthChange {
  month: string;
  repeats: number;
  echoes: number;
  countedUsers: number;
  exemptOnlyUsers: number;
}

/** Each change tells watchers of the month, also one that adds nothing. */
export async function addToMonths(db: Db, projectId: string, changes: readonly MonthChange[]): Promise<void> {
  const numbers = (column: Exclude<keyof MonthChange, 'month'>) =>
    toPlainArray(changes.map((change) => change[column]));
  await sql`
    insert into messaging_months as months
      (project_id, month, repeats, echoes, counted_users, exempt_only_users)
    select ${projectId}::bigint, * from unnest(
      ${toPlainArray(changes.map(({ month }) => month))}::text[],
      ${numbers('repeats')}::int[], ${numbers('echoes')}::int[], ${numbers('countedUsers')}::int[],
      ${numbers('exemptOnlyUsers')}::int[]
    )
    on conflict (project_id, month) do update set
      repeats = months.repeats + excluded.repeats, echoes = months.echoes + excluded.echoes,
      counted_users = months.counted_users + excluded.counted_users,
      exempt_only_users = months.exempt_only_users + excluded.exempt_only_users
  `.execute(db);
}

/** Events of one name by one person in a month. */
export interface PersonEventChange {
  month: string;
  event: string;
  /** A uuid. */
  person: string;
  events: number;
}

/** Gives how many there are of each now; what is 0 is forgotten. */
export async function addToPersonEvents(
  db: Db,
  projectId: string,
  changes: readonly PersonEventChange[],
): Promise<PersonEventChange[]> {
  if (changes.length === 0) return [];
  const { rows } = await sql<PersonEventChange>`
    insert into messaging_person_events as known (project_id, month, event, person, events)
    select ${projectId}::bigint, * from unnest(
      ${toPlainArray(changes.map(({ month }) => month))}::text[],
      ${toTextArray(changes.map(({ event }) => event))}::text[],
      ${toPlainArray(changes.map(({ person }) => person))}::uuid[],
      ${toPlainArray(changes.map(({ events }) => events))}::int[]
    )
    on conflict (project_id, month, event, person) do update set events = known.events + excluded.events
    returning month, event, person, events
  `.execute(db);
  const gone = rows.filter(({ events }) => events <= 0);
  if (gone.length > 0) {
    await sql`
      delete from messaging_person_events as known
      using unnest(
        ${toPlainArray(gone.map(({ month }) => month))}::text[],
        ${toTextArray(gone.map(({ event }) => event))}::text[],
        ${toPlainArray(gone.map(({ person }) => person))}::uuid[]
      ) as gone (month, event, person)
      where project_id = ${projectId} and known.month = gone.month and known.event = gone.event
        and known.person = gone.person
    `.execute(db);
  }
  return rows;
}

export interface PersonChange {
  month: string;
  person: string;
  counted: number;
  exempt: number;
  /** Of the earliest of their events that count, if any is added. */
  firstCountedAt: Date | null;
  firstCampaignId: string | null;
  firstCampaignName: string | null;
}

/** The same of all events of a person. */
export async function addToPeople(
  db: Db,
  projectId: string,
  changes: readonly PersonChange[],
): Promise<Pick<PersonChange, 'month' | 'person' | 'counted' | 'exempt'>[]> {
  if (changes.length === 0) return [];
  // Of whom nothing counts, what is told as the first was refused.
  const first = sql`case when known.counted > 0 then known.first_counted_at end`;
  const isEarlier = sql`excluded.first_counted_at < coalesce(${first}, 'infinity')`;
  const { rows } = await sql<Pick<PersonChange, 'month' | 'person' | 'counted' | 'exempt'>>`
    insert into messaging_people as known
      (project_id, month, person, counted, exempt, first_counted_at, first_campaign_id, first_campaign_name)
    select ${projectId}::bigint, * from unnest(
      ${toPlainArray(changes.map(({ month }) => month))}::text[],
      ${toPlainArray(changes.map(({ person }) => person))}::uuid[],
      ${toPlainArray(changes.map(({ counted }) => counted))}::int[],
      ${toPlainArray(changes.map(({ exempt }) => exempt))}::int[],
      ${changes.map(({ firstCountedAt }) => firstCountedAt)}::timestamptz[],
      ${toTextArray(changes.map(({ firstCampaignId }) => firstCampaignId))}::text[],
      ${toTextArray(changes.map(({ firstCampaignName }) => firstCampaignName))}::text[]
    )
    on conflict (project_id, month, person) do update set
      counted = known.counted + excluded.counted, exempt = known.exempt + excluded.exempt,
      first_counted_at = case when ${isEarlier} then excluded.first_counted_at else known.first_counted_at end,
      first_campaign_id = case when ${isEarlier} then excluded.first_campaign_id else known.first_campaign_id end,
      first_campaign_name = case when ${isEarlier} then excluded.first_campaign_name else known.first_campaign_name end
    returning month, person, counted, exempt
  `.execute(db);
  const gone = rows.filter(({ counted, exempt }) => counted <= 0 && exempt <= 0);
  if (gone.length > 0) {
    await sql`
      delete from messaging_people as known
      using unnest(
        ${toPlainArray(gone.map(({ month }) => month))}::text[],
        ${toPlainArray(gone.map(({ person }) => person))}::uuid[]
      ) as gone (month, person)
      where project_id = ${projectId} and known.month = gone.month and known.person = gone.person
    `.execute(db);
  }
  return rows;
}

/** Of people some of whose events were refused: which of those that are left, and that count, was the first, if any is kept. */
export async function findFirstCounted(
  db: Db,
  projectId: string,
  people: readonly { month: string; person: string; distinctId: string }[],
  exempt: readonly string[],
): Promise<void> {
  await sql`
    update messaging_people as known
    set first_counted_at = first.at, first_campaign_id = first.campaign_id, first_campaign_name = first.campaign_name
    from unnest(
      ${toPlainArray(people.map(({ month }) => month))}::text[],
      ${toPlainArray(people.map(({ person }) => person))}::uuid[],
      ${toTextArray(people.map(({ distinctId }) => distinctId))}::text[]
    ) as sought (month, person, distinct_id)
    join lateral (
      select at, campaign_id, campaign_name from messaging_events
      where project_id = ${projectId} and distinct_id = sought.distinct_id and state in ('PENDING', 'IMPORTED')
        and to_char(at at time zone 'UTC', 'YYYY-MM') = sought.month and event <> all(${exempt}::text[])
      order by at, id limit 1
    ) as first on true
    where known.project_id = ${projectId} and known.month = sought.month and known.person = sought.person
  `.execute(db);
}

export interface UsageRows {
  month: MessagingMonthRow | undefined;
  sums: MessagingSumRow[];
}

/** Both as of one moment. */
export async function loadUsage({ db, projectId }: ProjectScope, month: string): Promise<UsageRows> {
  const transaction = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only');
  return await transaction.execute(async (trx) => ({
    month: await trx
      .selectFrom('messaging_months')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('month', '=', month)
      .executeTakeFirst(),
    sums: await trx
      .selectFrom('messaging_sums')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('month', '=', month)
      .orderBy('event')
      .execute(),
  }));
}

export interface CampaignUsers {
  campaignId: string | null;
  campaignName: string | null;
  users: number;
}

/** Whose first event of the month that counts was of which campaign; the largest first. */
export async function loadCampaignUsers(
  { db, projectId }: ProjectScope,
  month: string,
): Promise<CampaignUsers[]> {
  const { rows } = await sql<CampaignUsers>`
    select first_campaign_id as "campaignId", max(first_campaign_name) as "campaignName", count(*)::int as users
    from messaging_people
    where project_id = ${projectId} and month = ${month} and counted > 0
    group by first_campaign_id
    order by users desc, first_campaign_id nulls last
  `.execute(db);
  return rows;
}

/**
 * People of the month with events of this name: all, those with no other event that counts, those with none that counts; and
 * all people who count. As of one moment.
 */
export async function countUsersOfEvent(
  { db, projectId }: ProjectScope,
  month: string,
  event: string,
): Promise<{ users: number; onlyByIt: number; uncounted: number; countedUsers: number }> {
  const { rows } = await sql<{ users: number; onlyByIt: number; uncounted: number; countedUsers: number }>`
    select count(*)::int as users,
      count(*) filter (where people.counted = by_event.events)::int as "onlyByIt",
      count(*) filter (where people.counted = 0)::int as uncounted,
      coalesce((
        select counted_users from messaging_months where project_id = ${projectId} and month = ${month}
      ), 0) as "countedUsers"
    from messaging_person_events as by_event
    join messaging_people as people using (project_id, month, person)
    where project_id = ${projectId} and month = ${month} and by_event.event = ${event}
  `.execute(db);
  return rows[0]!;
}

/** Who the people were of months before this one. Their sums stay. Gives how many rows that was. */
export async function deleteOldPeople(db: Db, month: string, limit: number): Promise<number> {
  let deleted = 0;
  for (const table of ['messaging_people', 'messaging_person_events'] as const) {
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(
        select old.ctid from projects cross join lateral (
          select ctid from ${sql.table(table)} where project_id = projects.id and month < ${month} limit ${limit}
        ) as old
        limit ${limit}
      ))
    `.execute(db);
    deleted += Number(numAffectedRows);
  }
  return deleted;
}
