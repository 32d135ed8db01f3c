import type { Context } from '../context.ts';
import { NotFoundError } from '../errors.ts';
import { isExportId, isRowId } from '../resolvers/page.ts';
import { readProject } from '../resolvers/project.ts';

/** Opaque to callers: the type's name and the row's id. */
export function encodeId(typename: string, id: string | number | bigint): string {
  return Buffer.from(`${typename}:${id}`).toString('base64url');
}

/** What is no id of ours becomes one of no type. */
export function decodeId(globalId: string): { typename: string; id: string } {
  const text = Buffer.from(globalId, 'base64url').toString('utf8');
  const [, typename, id] = /^([A-Za-z]+):(0|[1-9]\d{0,17})$/.exec(text) ?? [];
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

const NODES: Record<string, (ctx: Context, id: string) => Promise<object | undefined>> = {
  ApiToken: (ctx, id) => ctx.load.apiToken.load(id),
  Cohort: (ctx, id) => ctx.load.cohort.load(id),
  Export: async (ctx, id) => (isExportId(Number(id)) ? ctx.load.export.load(Number(id)) : undefined),
  Integration: (ctx, id) => ctx.load.integration.load(id),
  MixpanelConnection: (ctx, id) => ctx.load.mixpanelConnection.load(id),
  Project: async (ctx, id) => (id === ctx.viewer.project.id ? readProject(ctx) : undefined),
  SyncRun: (ctx, id) => ctx.load.syncRun.load(id),
};

/** A row of the caller's project, marked with its type. Throws NotFoundError. */
export async function loadNode(
  ctx: Context,
  { typename, id }: { typename: string; id: string },
): Promise<object> {
  const row = Object.hasOwn(NODES, typename) ? await NODES[typename]!(ctx, id) : undefined;
  if (!row) throw new NotFoundError('object');
  return { ...row, __typename: typename };
}
