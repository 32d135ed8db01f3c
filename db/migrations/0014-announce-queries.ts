import { type Kysely, sql } from 'kysely';

/** Gateways remember how exports share Mixpanel's queries, and hear when that changes. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  `create function announce_mixpanel() returns trigger language plpgsql as $$
    begin
      perform pg_notify('cohort_sync', 'mixpanel:' || coalesce(new.project_id, old.project_id) || ':' || coalesce(new.id, old.id));
      return null;
    end $$`,
  `create trigger announce after insert or update or delete on mixpanel_connections
    for each row execute function announce_mixpanel()`,

  // Of a Mixpanel project, to each project of ours that is connected to it.
  `create function announce_queries() returns trigger language plpgsql as $$
    begin
      perform pg_notify('cohort_sync', 'mixpanel:' || project_id || ':' || id) from mixpanel_connections
        where region = new.region and mixpanel_project_id = new.mixpanel_project_id;
      return null;
    end $$`,
  `create trigger announce after insert on mixpanel_queries for each row execute function announce_queries()`,
  `create trigger announce after insert or update on mixpanel_budgets for each row execute function announce_queries()`,
];
