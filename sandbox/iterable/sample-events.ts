import { createRandom, type Random } from '../random.ts';
import { FIELDS, pick, type SampleEventName, type SampleMessage } from './event-fields.ts';
import type { IterableProjectType } from './identity.ts';
import { toIterableTime } from './iterable-time.ts';
import { type Medium, SAMPLE_CAMPAIGNS } from './sample-campaigns.ts';
import type { WebhookEvent } from './send-events.ts';

export interface SampleEventsOptions {
  count: number;
  /** Named as the members of a cohort that is made up: prefix-0 with prefix.0@example.com, and so on. */
  people: { count: number; prefix: string };
  projectType: IterableProjectType;
  seed: number;
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
}

export interface SamplePerson {
  email?: string;
  userId?: string;
  /** What data fields call them, where they have an e-mail address. */
  address: string | undefined;
}

type Story = readonly [name: SampleEventName, chance: number, more?: readonly Story[]];

/** What may follow a send, how likely it is, and what may follow that. */
const AFTER_SEND: Record<Medium, readonly Story[]> = {
  email: [
    ['emailBounce', 0.02],
    [
      'emailOpen',
      0.4,
      [
        ['emailClick', 0.2],
        ['hostedUnsubscribeClick', 0.02, [['emailUnSubscribe', 0.9]]],
        ['emailComplaint', 0.005],
      ],
    ],
  ],
  push: [
    ['pushBounce', 0.04],
    ['pushOpen', 0.15],
    ['pushUninstall', 0.01],
  ],
  sms: [
    ['smsBounce', 0.03],
    ['smsClick', 0.1],
    ['smsReceived', 0.04],
  ],
  inApp: [['inAppOpen', 0.5, [['inAppClick', 0.3]]]],
  webPush: [['webPushClick', 0.1]],
};
const SKIP_CHANCE = 0.05;
const SIGN_UP_CHANCE = 0.03;
/** Until something follows, at the most. */
const MAX_PAUSE_MS = 6 * 3_600_000;

/** A stream in which messages are sent, opened, clicked, skipped; the same one for the same seed. No event comes twice. */
export function* makeEvents(options: SampleEventsOptions): Generator<WebhookEvent> {
  const { count, people, projectType, seed, from, to } = options;
  const random = createRandom(seed);
  for (let made = 0; made < count; ) {
    const person = toPerson(Math.floor(random() * people.count), people.prefix, projectType);
    const message: SampleMessage = {
      campaign: pick(SAMPLE_CAMPAIGNS, random),
      messageId: makeHex(random, 32),
      address: person.address,
    };
    let at = from + ((to - from) * made) / count;
    for (const name of tellStory(message.campaign.medium, random)) {
      yield makeEvent(random, { name, person, message, at });
      if (++made === count) return;
      at = Math.min(to, at + 1000 + random() * MAX_PAUSE_MS);
    }
  }
}

/** One event, in the shape that Iterable gives those of its name. */
export function makeEvent(
  random: Random,
  event: { name: SampleEventName; person: SamplePerson; message: SampleMessage; at: number },
): WebhookEvent {
  const { name, person, message, at } = event;
  const { address, ...identity } = person;
  return {
    ...identity,
    eventName: name,
    dataFields: {
      ...(address === undefined ? {} : { email: address }),
      createdAt: toIterableTime(at),
      ...FIELDS[name](message, random),
    },
  };
}

function* tellStory(medium: Medium, random: Random): Generator<SampleEventName> {
  if (random() < SIGN_UP_CHANCE) return yield 'emailSubscribe';
  // The one medium whose messages are never skipped in the sample.
  if (medium !== 'inApp' && random() < SKIP_CHANCE) return yield `${medium}SendSkip`;
  yield `${medium}Send`;
  yield* continueStory(AFTER_SEND[medium], random);
}

function* continueStory(stories: readonly Story[], random: Random): Generator<SampleEventName> {
  for (const [name, chance, more = []] of stories) {
    if (random() >= chance) continue;
    yield name;
    yield* continueStory(more, random);
    // A message that bounced is not opened.
    if (name.endsWith('Bounce')) return;
  }
}

/** Not everybody comes with both identifiers: some only with the one, some with their e-mail address in the data fields. */
function toPerson(index: number, prefix: string, type: IterableProjectType): SamplePerson {
  const email = `${prefix}.${index}@example.com`;
  const userId = `${prefix}-${index}`;
  const place = index % 5;
  if (type !== 'USER_ID' && place === 1) return { email, address: email };
  if (type !== 'EMAIL' && place === 2) return { userId, address: email };
  if (type !== 'EMAIL' && place === 3) return { userId, address: undefined };
  return { email, userId, address: email };
}

function makeHex(random: Random, length: number): string {
  return Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join('');
}
