import { z } from 'zod';
import type { CallLog } from '../calls.ts';
import type { SandboxReply } from '../http.ts';
import { invalidListId, refuse, tooMany } from './answers.ts';
import { createUpdateTally } from './failed-updates.ts';
import type { Failure, Profile, Resolved } from './identity.ts';
import { toListEcho } from './list-echo.ts';
import type { IterableProject } from './project.ts';
import { type Answering, route } from './route.ts';
import { givenProfile, type Written, writeProfile } from './write-profile.ts';

const update = z.object({
  listId: z.int(),
  subscribers: z.array(givenProfile),
  updateExistingUsersOnly: z.boolean().optional(),
  channelUnsubscribe: z.boolean().optional(),
  campaignId: z.int().optional(),
});

type ListUpdate = z.infer<typeof update>;

export const updateListRoutes = (['subscribe', 'unsubscribe'] as const).map((name) =>
  route({
    name,
    method: 'POST',
    path: `/api/lists/${name}`,
    body: update,
    details: ({ listId, subscribers }) => ({
      listId,
      subscribers: subscribers.map(({ email, userId }) => ({
        ...(email === undefined ? {} : { email }),
        ...(userId === undefined ? {} : { userId }),
      })),
    }),
    answer: (given) => updateList(name, given),
  }),
);

/** 200 also when everybody is refused. */
function updateList(
  action: 'subscribe' | 'unsubscribe',
  { project, input: update, request, clock, calls, sender }: Answering<ListUpdate>,
): SandboxReply {
  const waitMs = project.writes.take();
  if (waitMs > 0) return tooMany(request.path, project.id, waitMs);
  const list = project.lists.get(update.listId);
  const ageMs = list ? clock.now() - list.createdAt : 0;
  // Not negative: the clock of a test may have been set back.
  const isUnknown = ageMs >= 0 && ageMs < project.settings.unknownAfterCreateMs;
  if (!list || isUnknown) return invalidListId(project.id, update.listId);
  if (update.subscribers.length > project.settings.maxBatch) {
    return refuse(400, 'BatchTooLarge', `Batch of ${update.subscribers.length} is too large`);
  }
  checkManners(action, update, list.listType, calls);

  const tally = createUpdateTally();
  const changed: Profile[] = [];
  for (const given of update.subscribers) {
    const identifier = given.email?.toLowerCase() ?? given.userId ?? '';
    const outcome = refusalOf(project, identifier) ?? resolve(project, action, given, update);
    tally.count(outcome);
    if ('failures' in outcome) continue;
    const { profile } = outcome;
    if (list.members.has(profile) !== (action === 'subscribe')) changed.push(profile);
    project.setMember(list, profile, action === 'subscribe');
  }
  const { webhook } = project.settings;
  if (webhook && project.webhook.enabled && changed.length > 0) {
    const change = { action, listId: list.id, now: clock.now() };
    sender.queue(
      webhook,
      changed.map((profile) => toListEcho(profile, change)),
    );
  }
  return tally.toAnswer(project.settings.answerStyle);
}

function resolve(
  project: IterableProject,
  action: 'subscribe' | 'unsubscribe',
  given: ListUpdate['subscribers'][number],
  { updateExistingUsersOnly = false }: ListUpdate,
): Resolved | Written {
  return action === 'subscribe'
    ? writeProfile(project, given, { updateExistingOnly: updateExistingUsersOnly })
    : project.users.resolve(given, { create: false, updateExistingOnly: false });
}

/** What the project's settings have against somebody. */
function refusalOf({ settings }: IterableProject, identifier: string): { failures: Failure[] } | undefined {
  if (settings.unnamedFailures.includes(identifier)) return { failures: [] };
  const refusal = settings.refusals.find((one) => one.identifier === identifier);
  if (!refusal) return undefined;
  const { bucket, named = identifier } = refusal;
  return { failures: [{ bucket, kind: named.includes('@') ? 'email' : 'userId', identifier: named }] };
}

/** What a careful client does not send goes to the log of complaints. */
function checkManners(action: string, update: ListUpdate, listType: string, calls: CallLog): void {
  if (listType !== 'Standard') calls.complain(`${action} to a list of type ${listType}`);
  if (action === 'unsubscribe' && update.channelUnsubscribe !== false) {
    calls.complain('unsubscribe without channelUnsubscribe: false');
  }
  if (update.subscribers.length === 0) calls.complain(`${action} of nobody from a list that exists`);
  if (update.subscribers.length > 1000) calls.complain(`${action} of ${update.subscribers.length} people`);
  const seen = new Set<string>();
  for (const { email, userId, dataFields } of update.subscribers) {
    if (dataFields !== undefined) calls.complain(`${action} with dataFields`);
    if (email !== undefined && email !== email.toLowerCase())
      calls.complain(`${action} with an upper-case e-mail`);
    const name = email ?? `userId ${userId}`;
    if (seen.has(name)) calls.complain(`${action} of one person twice in a batch`);
    seen.add(name);
  }
}
