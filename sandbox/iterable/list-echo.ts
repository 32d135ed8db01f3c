import type { Profile } from './identity.ts';
import { toIterableTime } from './iterable-time.ts';
import type { WebhookEvent } from './send-events.ts';

/** What the webhook tells of one person whom a list call put on a list, or took off it. */
export function toListEcho(
  { email, userId }: Profile,
  change: { action: 'subscribe' | 'unsubscribe'; listId: number; now: number },
): WebhookEvent {
  const { action, listId, now } = change;
  const createdAt = toIterableTime(now);
  return {
    ...(email === undefined ? {} : { email }),
    ...(userId === undefined ? {} : { userId }),
    eventName: action === 'subscribe' ? 'emailSubscribe' : 'emailUnSubscribe',
    dataFields: {
      ...(email === undefined ? {} : { email }),
      createdAt,
      ...(action === 'subscribe'
        ? { profileUpdatedAt: createdAt, signupSource: 'ListAPI' }
        : { unsubSource: 'ListAPI' }),
      emailListIds: [listId],
      channelIds: [],
      messageTypeIds: [],
    },
  };
}
