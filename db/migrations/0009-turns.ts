import { type Kysely, sql } from 'kysely';

/** All processes together keep a partner's limits, and take turns. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // What was in it is outdated a moment later.
  `drop table pacers`,

  // A limit of a partner. Whoever takes a turn locks its row.
  `create table pacers (
    key text primary key,
    -- When the latest turns began, newest first; as many as may begin within one window.
    recent timestamptz[] not null default '{}',
    -- The partner has asked for a pause.
    held_until timestamptz not null default '-infinity',
    -- By how much windows are longer than agreed, after refusals: the way to the partner may be an uneven one.
    caution float8 not null default 0
  )`,

  // A process that has turns under way, or waits for one.
  `create table pacer_lines (
    id uuid primary key,
    pacer_key text not null references pacers (key),
    under_way int not null,
    -- Its latest turn; before the first one, when it first asked.
    last_turn_at timestamptz not null,
    -- Null: it does not wait.
    asks_again_at timestamptz,
    -- A process that has been silent for ten seconds has ended.
    seen_at timestamptz not null
  )`,
  `create index pacer_lines_by_pacer on pacer_lines (pacer_key)`,

  // The next turn, if it begins within 50 ms (for the way back, and for a process that is busy); else says when to ask again.
  // late: how much later than granted the line's latest turn began. A function, because nobody may hold the lock while a
  // process thinks, or stands still.
  `create function take_turn(
    pace text, line uuid, own_turns int, late interval, turns_per_window int, turn_window interval, gap interval, concurrency int
  ) returns table (is_granted boolean, wait_ms float8) language plpgsql as $$
    declare
      ahead constant interval := '50 milliseconds';
      pacer pacers;
      own pacer_lines;
      current_at timestamptz;
      due_at timestamptz;
      other_turns int;
      others_ask_at timestamptz;
      is_full boolean;
      ask_at timestamptz;
    begin
      insert into pacers (key) values (pace) on conflict do nothing;
      select * into pacer from pacers where key = pace for update;
      current_at := clock_timestamp();
      select * into own from pacer_lines where id = line;
      pacer.recent := array_replace(pacer.recent, own.last_turn_at,
        least(own.last_turn_at + late, greatest(own.last_turn_at, current_at)));
      -- Times further ahead than they can be are those of a clock that has been set back since: they do not count.
      due_at := greatest(
        current_at,
        case when pacer.held_until <= current_at + interval '2 minutes' then pacer.held_until end,
        case when pacer.recent[1] <= current_at + ahead then pacer.recent[1] + gap end,
        case when pacer.recent[turns_per_window] <= current_at + ahead
          then pacer.recent[turns_per_window] + turn_window * (1 + pacer.caution) end
      );
      -- Whoever has been without a turn for longer goes first, unless it does not come when it said it would.
      own.last_turn_at := least(own.last_turn_at, current_at);
      select coalesce(sum(under_way), 0), max(asks_again_at) filter (
          where asks_again_at > current_at - interval '200 milliseconds' and last_turn_at < own.last_turn_at)
        into other_turns, others_ask_at
        from pacer_lines where pacer_key = pace and id <> line
          and seen_at between current_at - interval '10 seconds' and current_at + interval '1 second';
      is_full := own_turns + other_turns >= concurrency;
      if due_at <= current_at + ahead and is_full is not true and others_ask_at is null then
        own.last_turn_at := due_at;
        own_turns := own_turns + 1;
        update pacers set recent = (array_prepend(due_at, pacer.recent))[1:turns_per_window], caution = caution * 0.998
          where key = pace;
        delete from pacer_lines where pacer_key = pace and seen_at < current_at - interval '1 minute';
      else
        -- At least every three seconds, so that it is known to be there.
        ask_at := least(current_at + interval '3 seconds', greatest(
          current_at + interval '10 milliseconds',
          due_at - ahead,
          others_ask_at + interval '10 milliseconds',
          case when is_full then current_at + interval '50 milliseconds' end
        ));
      end if;
      insert into pacer_lines values (line, pace, own_turns, own.last_turn_at, ask_at, current_at)
        on conflict (id) do update set under_way = excluded.under_way, last_turn_at = excluded.last_turn_at,
          asks_again_at = excluded.asks_again_at, seen_at = excluded.seen_at;
      return query select ask_at is null, extract(epoch from coalesce(ask_at, due_at) - current_at)::float8 * 1000;
    end
  $$`,
];
