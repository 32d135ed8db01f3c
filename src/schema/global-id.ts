import type { Context } from '../context.ts';
import { NotFoundError } from '../errors.ts';
import { findMember } from '../resolvers/member.ts';
import { readMessagingUsage } from '../resolvers/messaging-usage.ts';
import { isExportId, isRowId } from '../resolvers/page.ts';
import { readProject } from '../resolvers/project.ts';
import { monthRule } from './rules.ts';

/** Opaque to callers: the type's name and the row's id; of what is no row, the project's id and a key within it. */
export function encodeId(typename: string, id: string | number | bigint): string {
  return Buffer.from(`${typename}:${id}`).toString('base64url');
}

/** Of rows of lists, which have ids for the sake of caches. */
export const rowIdDescription = 'Stays the same, and no other row of the project has it; not for node(id).';

/** What is no id of ours becomes one of no type. */
export function decodeId(globalId: string): { typename: string; id: string } {
  const text = Buffer.from(globalId, 'base64url').toString('utf8');
  const [, typename, id] = /^([A-Za-z]+):((?:0|[1-9]\d{0,17})(?::[\w-]+)?)$/.exec(text) ?? [];
  return typename !== undefined && id !== undefined && encodeId(typename, id) === globalId
    ? { typename, id }
    : { typename: '', id: globalId };
}

/** The row's id of an argument that is to be of this type. Throws NotFoundError for anything else. */
export function readId(typename: string, noun: string, globalId: string): string {
  const decoded = decodeId(globalId);
  if (decoded.typename !== typename || !isRowId(decoded.id)) throw new NotFoundError(noun);
  return decoded.id;
}

export function readExportId(globalId: string): number {
  const id = Number(readId('Export', 'export', globalId));
  if (!isExportId(id)) throw new NotFoundError('export');
  return id;
}

/** For filters: of what is no id of an export, the number of none, so that nothing matches. */
export function readExportFilter(globalId: string): number {
  const { typename, id } = decodeId(globalId);
  return typename === 'Export' && isExportId(Number(id)) ? Number(id) : 0;
}

/** Rows of the caller's project by their ids. */
const ROWS = {
  ApiToken: (ctx: Context, id: string) => ctx.load.apiToken.load(id),
  Cohort: (ctx: Context, id: string) => ctx.load.cohort.load(id),
  Export: async (ctx: Context, id: string) =>
    isExportId(Number(id)) ? ctx.load.export.load(Number(id)) : undefined,
  Integration: (ctx: Context, id: string) => ctx.load.integration.load(id),
  MixpanelAccount: (ctx: Context, id: string) => ctx.load.mixpanelAccount.load(id),
  Project: async (ctx: Context, id: string) => (id === ctx.viewer.project.id ? readProject(ctx) : undefined),
  SyncRun: (ctx: Context, id: string) => ctx.load.syncRun.load(id),
};

/** What is no row of its own, by its key within the caller's project. */
const OF_PROJECT = {
  Member: findMember,
  MessagingUsage: async (ctx: Context, month: string) =>
    monthRule.safeParse(month).success ? readMessagingUsage(ctx, month) : undefined,
};

/** The row of this type that an id names, as queries answer: undefined when the caller's project has none. */
export function findRow<Name extends keyof typeof ROWS>(
  ctx: Context,
  typename: Name,
  globalId: string,
): ReturnType<(typeof ROWS)[Name]> | undefined {
  const { typename: given, id } = decodeId(globalId);
  if (given !== typename || !isRowId(id)) return undefined;
  return ROWS[typename](ctx, id) as ReturnType<(typeof ROWS)[Name]>;
}

/** What a global id names in the caller's project, marked with its type; null when that is nothing. */
export async function loadNode(
  ctx: Context,
  { typename, id }: { typename: string; id: string },
): Promise<object | null> {
  const found = await find(ctx, typename, id);
  return found ? { ...found, __typename: typename } : null;
}

async function find(ctx: Context, typename: string, id: string): Promise<object | undefined> {
  const [projectId, key] = id.split(':');
  if (key === undefined) return isNameOf(ROWS, typename) ? await ROWS[typename](ctx, id) : undefined;
  if (projectId !== ctx.viewer.project.id || !isNameOf(OF_PROJECT, typename)) return undefined;
  return await OF_PROJECT[typename](ctx, key);
}

function isNameOf<Names extends object>(names: Names, name: string): name is string & keyof Names {
  return Object.hasOwn(names, name);
}
