import type { ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import type { Context } from '../context.ts';
import { requireExport } from './export.ts';
import { requireRun } from './sync-run.ts';

export async function watchRun(ctx: Context, runId: string): Promise<AsyncIterable<SyncRunRow>> {
  await requireRun(ctx, runId);
  return ctx.live.watchRun(ctx.viewer.project.id, runId);
}

export async function watchRuns(ctx: Context, exportId?: number): Promise<AsyncIterable<SyncRunRow>> {
  if (exportId !== undefined) await requireExport(ctx, exportId);
  return ctx.live.watchRuns(ctx.viewer.project.id, exportId);
}

export async function watchExports(ctx: Context, exportId?: number): Promise<AsyncIterable<ExportRow>> {
  if (exportId !== undefined) await requireExport(ctx, exportId);
  return ctx.live.watchExports(ctx.viewer.project.id, exportId);
}

export async function watchIntegrations(ctx: Context): Promise<AsyncIterable<IntegrationRow>> {
  return ctx.live.watchIntegrations(ctx.viewer.project.id);
}
