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
const FIELDS: readonly PersonField[] = ['email', 'userId', 'distinctId'];

/** What a person was looked up by. It makes the story: of an address that they had before there is another one. */
interface PersonKey {
  field: PersonField;
  value: string;
}

export interface Member extends MemberStory {
  key: PersonKey;
}

/** One person of the caller's project, or null. Throws BadUserInputError unless exactly one of the three is given. */
export async function readMember(
  ctx: Context,
  args: Partial<Record<PersonField, string | null | undefined>>,
): Promise<Member | null> {
  const [field, second] = FIELDS.filter((name) => args[name] != null);
  if (field === undefined || second !== undefined) {
    throw new BadUserInputError([
      { path: [second ?? 'email'], message: 'exactly one of email, userId and distinctId must be given.' },
    ]);
  }
  const trimmed = args[field]!.trim();
  const value = field === 'email' ? trimmed.toLowerCase() : trimmed;
  if (value === '') throw new BadUserInputError([{ path: [field], message: 'must not be empty.' }]);
  return (await loadMember(ctx, { field, value })) ?? null;
}

/**
 * The key of a person in a global id. Ids stand in caches, addresses of pages and logs of proxies, so an e-mail is not
 * to be read in them; a hash of it could not be looked up. So it is sealed, and bound to the project.
 */
export function sealMemberKey({ viewer, sync }: Context, { key }: Member): string {
  return sync.secrets.seal(`${key.field}:${key.value}`, scopeOf(viewer));
}

/** By what sealMemberKey gave; undefined when nobody of the caller's project is known by it. */
export async function findMember(ctx: Context, sealed: string): Promise<Member | undefined> {
  const text = ctx.sync.secrets.unseal(sealed, scopeOf(ctx.viewer));
  const field = FIELDS.find((name) => text?.startsWith(`${name}:`));
  if (text === undefined || field === undefined) return undefined;
  return await loadMember(ctx, { field, value: text.slice(field.length + 1) });
}

async function loadMember({ viewer, sync, events }: Context, key: PersonKey): Promise<Member | undefined> {
  const projectId = viewer.project.id;
  await events.catchUp(projectId);
  const story = await readMemberStory({ db: sync.db, projectId }, key.field, key.value);
  return story && { ...story, key };
}

const scopeOf = ({ project }: Context['viewer']) => `Member of project ${project.id}`;

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
