import { insertPage } from '../../../../db/queries/pushed-page.ts';
import type { SyncDeps } from '../../deps.ts';
import { type Push, PushUnusableError } from './read-push.ts';

/** Keeps the page, if it is one. Throws PushUnusableError when it is of another Mixpanel project than the connected one. */
export async function receivePush(
  { db, clock }: Pick<SyncDeps, 'db' | 'clock'>,
  { projectId, mixpanelProjectId }: { projectId: string; mixpanelProjectId: string },
  push: Push,
): Promise<void> {
  if (push.mixpanelProjectId !== undefined && push.mixpanelProjectId !== mixpanelProjectId) {
    throw new PushUnusableError(
      `The cohort is of the Mixpanel project ${push.mixpanelProjectId}; Cohort Sync is connected to another one.`,
    );
  }
  if (!push.page) return;
  await insertPage(db, {
    ...push.page,
    action: push.action,
    projectId,
    mixpanelProjectId,
    now: clock.now(),
  });
}
