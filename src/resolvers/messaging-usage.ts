import {
  type CampaignUsers,
  loadCampaignUsers,
  loadUsage,
  type UsageRows,
} from '../../db/queries/messaging-usage.ts';
import type { Context } from '../context.ts';
import { monthOf } from '../events/event-time.ts';
import { askWhatIf, toUsage, type Usage, type WhatIf } from '../events/usage.ts';

/** Of everything that had come in by now. */
export async function readMessagingUsage({ viewer, sync, events }: Context, month: string): Promise<Usage> {
  const projectId = viewer.project.id;
  await events.catchUp(projectId);
  return toUsage(month, await loadUsage({ db: sync.db, projectId }, month));
}

/** The month of now unless one is given. */
export async function watchMessagingUsage(
  { viewer, sync, live }: Context,
  given: string | undefined,
): Promise<AsyncIterable<UsageOf>> {
  const month = given ?? monthOf(sync.clock.now());
  return live.watchUsage(viewer.project.id, month);
}

/** A month with its sums. */
export interface UsageOf {
  month: string;
  rows: UsageRows;
}

export function presentUsage({ month, rows }: UsageOf): Usage {
  return toUsage(month, rows);
}

export function readCampaignUsers({ viewer, sync }: Context, { month }: Usage): Promise<CampaignUsers[]> {
  return loadCampaignUsers({ db: sync.db, projectId: viewer.project.id }, month);
}

export function readWhatIf({ viewer, sync }: Context, { month }: Usage, event: string): Promise<WhatIf> {
  return askWhatIf({ db: sync.db, projectId: viewer.project.id }, month, event);
}
