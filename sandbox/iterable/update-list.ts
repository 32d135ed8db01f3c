import { z } from 'zod';
import type { CallLog } from '../calls.ts';
import type { SandboxClock } from '../clock.ts';
import type { SandboxReply } from '../http.ts';
import { invalidListId, ok, refuse, tooMany } from './answers.ts';
import type { Bucket, Profile, Resolved } from './identity.ts';
import { toListEcho } from './list-echo.ts';
import type { IterableProject } from './project.ts';
import type { EventSender } from './send-events.ts';

const MAX_BODY_BYTES = 4_000_000;

const body = z.object({
  listId: z.int(),
  subscribers: z.array(
    z.object({
      email: z.string().optional(),
      userId: z.string().optional(),
      preferUserId: z.boolean().optional(),
      dataFields: z.unknown().optional(),
    }),
  ),
  updateExistingUsersOnly: z.boolean().optional(),
  channelUnsubscribe: z.boolean().optional(),
});

export type ListUpdate = z.infer<typeof body>;

export function parseUpdate(text: string): ListUpdate | undefined {
  try {
    return body.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const BUCKETS: readonly Bucket[] = ['invalid', 'notFound', 'forgotten', 'conflict', 'invalidData'];

/** subscribe and unsubscribe: 200 also when everybody is refused. */
export function updateList(
  project: IterableProject,
  action: 'subscribe' | 'unsubscribe',
  update: ListUpdate | undefined,
  request: { bytes: number; calls: CallLog; clock: SandboxClock; sender: EventSender },
): SandboxReply {
  const endpoint = `/api/lists/${action}`;
  if (request.bytes > MAX_BODY_BYTES) return refuse(413, 'BatchTooLarge', 'Request body too large');
  if (!update)
    return refuse(400, 'BadJsonBody', `[${endpoint}] Invalid JSON body`, { obj: 'error.expected' });
  const waitMs = project.limits.write.take();
  if (waitMs > 0) return tooMany(endpoint, project.id, waitMs);
  const list = project.lists.get(update.listId);
  const ageMs = list ? request.clock.now() - list.createdAt : 0;
  // Not negative: the clock of a test may have been set back.
  const isUnknown = ageMs >= 0 && ageMs < project.settings.unknownAfterCreateMs;
  if (!list || isUnknown) return invalidListId(project.id, update.listId);
  if (update.subscribers.length > project.settings.maxBatch) {
    return refuse(400, 'BatchTooLarge', `Batch of ${update.subscribers.length} is too large`);
  }
  checkManners(action, update, list.listType, request.calls);

  const names = new Map<string, Set<string>>();
  const changed: Profile[] = [];
  let failCount = 0;
  for (const given of update.subscribers) {
    const identifier = given.email?.toLowerCase() ?? given.userId ?? '';
    if (project.settings.unnamedFailures.includes(identifier)) {
      failCount++;
      continue;
    }
    const resolved =
      refusalOf(project, identifier) ??
      project.users.resolve(
        {
          ...(given.email === undefined ? {} : { email: given.email }),
          ...(given.userId === undefined ? {} : { userId: given.userId }),
          ...(given.preferUserId === undefined ? {} : { preferUserId: given.preferUserId }),
        },
        { create: action === 'subscribe', updateExistingOnly: update.updateExistingUsersOnly === true },
      );
    if ('profile' in resolved) {
      const { profile } = resolved;
      if (list.members.has(profile) !== (action === 'subscribe')) changed.push(profile);
      project.setMember(list, profile, action === 'subscribe');
      continue;
    }
    failCount++;
    const { bucket, kind, identifier: name } = resolved.failure;
    const array = `${bucket}${kind === 'email' ? 'Emails' : 'UserIds'}`;
    names.set(array, (names.get(array) ?? new Set()).add(name));
  }
  const { webhook } = project.settings;
  if (webhook && changed.length > 0) {
    const change = { action, listId: list.id, now: request.clock.now() };
    request.sender.queue(
      webhook,
      changed.map((profile) => toListEcho(profile, change)),
    );
  }
  const array = (name: string) => [...(names.get(name) ?? [])];
  const answer = {
    successCount: update.subscribers.length - failCount,
    failCount,
    invalidEmails: array('invalidEmails'),
    invalidUserIds: array('invalidUserIds'),
  };
  if (project.settings.answerStyle === '2021') return ok(answer);
  const failedUpdates = Object.fromEntries(
    BUCKETS.flatMap((bucket) => [`${bucket}Emails`, `${bucket}UserIds`]).map((name) => [name, array(name)]),
  );
  return ok({ ...answer, filteredOutFields: [], createdFields: [], failedUpdates });
}

function refusalOf(project: IterableProject, identifier: string): Resolved | undefined {
  const refusal = project.settings.refusals.find((one) => one.identifier === identifier);
  if (!refusal) return undefined;
  const { bucket, named = identifier } = refusal;
  return { failure: { bucket, kind: named.includes('@') ? 'email' : 'userId', identifier: named } };
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
