import { insertPage } from '../../../../db/queries/pushed-page.ts';
import type { SyncDeps } from '../../deps.ts';
import { type Push, PushUnusableError } from './read-push.ts';

/** Keeps the page, if it is one. Throws PushUnusableError when it is of another Mixpanel project than the connected one. */
export async function receivePush(
  { db, clock }: Pick<SyncDeps, 'db' | 'clock'>,
  owner: { projectId: string; mixpanelProjectId: string },
  push: Push,
): Promise<void> {
  if (push.mixpanelProjectId !== owner.mixpanelProjectId) {
    throw new PushUnusableError(
      `The cohort is of the Mixpanel project ${push.mixpanelProjectId}; Cohort Sync is connected to another one.`,
    );
  }
  const { place, ...told } = push;
  if (!place) return;
  await insertPage(db, {
    ...told,
    number: place.page,
    totalPages: place.totalPages,
    projectId: owner.projectId,
    now: clock.now(),
  });
}
