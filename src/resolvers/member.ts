import type { ExportRow, SyncRunRow } from '../../db/tables.ts';
import type { Context } from '../context.ts';
import { BadUserInputError } from '../errors.ts';
import {
  compareEventKeys,
  type MemberEvent,
  type MemberStory,
  type PersonField,
  readMemberStory,
} from '../sync/member-story.ts';
import { type Connection, type PageArgs, pageOf } from './page.ts';

const EVENT_KEY_PARTS = 5;

/** One person of the caller's project, or null. Throws BadUserInputError unless exactly one of the three is given. */
export async function readMember(
  { viewer, sync, events }: Context,
  args: Partial<Record<PersonField, string | null | undefined>>,
): Promise<MemberStory | null> {
  const fields = ['email', 'userId', 'distinctId'] as const;
  const [field, second] = fields.filter((name) => args[name] != null);
  if (field === undefined || second !== undefined) {
    throw new BadUserInputError([
      { path: [second ?? 'email'], message: 'exactly one of email, userId and distinctId must be given.' },
    ]);
  }
  const trimmed = args[field]!.trim();
  const value = field === 'email' ? trimmed.toLowerCase() : trimmed;
  if (value === '') throw new BadUserInputError([{ path: [field], message: 'must not be empty.' }]);
  await events.catchUp(viewer.project.id);
  const story = await readMemberStory({ db: sync.db, projectId: viewer.project.id }, field, value);
  return story ?? null;
}

export async function readMemberLists({ load }: Context, story: MemberStory): Promise<ExportRow[]> {
  return (await Promise.all(story.exportIds.map((id) => load.export.load(id)))).map((row) => row!);
}

/** The story is whole in memory: a cursor says where to go on in it. */
export function readMemberHistory(story: MemberStory, args: PageArgs): Promise<Connection<MemberEvent>> {
  return pageOf(args, {
    keyOf: (event: MemberEvent) => event.key,
    parseKey: (value) => (isEventKey(value) ? value : undefined),
    load: async ({ limit, after }) =>
      story.events.filter(({ key }) => !after || compareEventKeys(key, after) < 0).slice(0, limit),
    count: async () => story.events.length,
  });
}

export async function readRunOf({ load }: Context, { runId }: MemberEvent): Promise<SyncRunRow | null> {
  return runId === null ? null : (await load.syncRun.load(runId))!;
}

export async function readEventExport(
  { load }: Context,
  { exportId }: MemberEvent,
): Promise<ExportRow | null> {
  return exportId === null ? null : (await load.export.load(exportId))!;
}

function isEventKey(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length === EVENT_KEY_PARTS && value.every(Number.isSafeInteger);
}
