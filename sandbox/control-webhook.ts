import { z } from 'zod';
import type { ControlTarget } from './control.ts';
import type { IterableProject } from './iterable/project.ts';
import { makeEvents } from './iterable/sample-events.ts';
import type { SendOptions, SendOutcome, WebhookEvent, WebhookTarget } from './iterable/send-events.ts';
import { createRandom } from './random.ts';

const token = z.string();
const auth = z.union([
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.enum(['bare', 'oauth2', 'bearer']), token }),
  z.strictObject({ type: z.literal('basic'), token }),
  z.strictObject({ type: z.literal('basic'), username: z.string(), password: z.string() }),
  z.strictObject({ type: z.literal('header'), header: z.string().regex(/^[\w-]+$/), token }),
]);

export const webhookTarget = z.strictObject({
  url: z.url(),
  auth,
  headers: z.record(z.string().regex(/^[\w-]+$/), z.string()).optional(),
});

const event = z.strictObject({
  email: z.string().optional(),
  userId: z.string().optional(),
  eventName: z.string(),
  dataFields: z.record(z.string(), z.unknown()),
});

const made = z.strictObject({
  count: z.int(),
  people: z.union([z.int(), z.strictObject({ count: z.int(), prefix: z.string() })]),
  seed: z.int(),
  from: z.iso.datetime().optional(),
  to: z.iso.datetime().optional(),
});

const sending = webhookTarget
  .extend({
    events: z.array(event).optional(),
    made: made.optional(),
    isShuffled: z.boolean().optional(),
    isRepeated: z.number().min(0).max(1).optional(),
    concurrency: z.int().positive().optional(),
    firstWaitMs: z.number().optional(),
  })
  .refine((given) => (given.events === undefined) !== (given.made === undefined), {
    message: 'Give events, or made.',
  });

const WEEK_MS = 7 * 24 * 3_600_000;

/** Sends events that are given, or made up, as the project's system webhook would. */
export function sendByControl(
  { iterable, clock }: ControlTarget,
  project: IterableProject,
  input: object,
): Promise<SendOutcome> {
  const { url, auth, headers, events = [], made, ...options } = sending.parse(input);
  const stream = made ? makeStream(project, made, clock.now()) : (events as WebhookEvent[]);
  // Another order than the one of the numbers that the events are made of.
  const random = made ? { random: createRandom(~made.seed) } : {};
  return iterable.sender.send({ url, auth, headers } as WebhookTarget, stream, {
    ...(options as SendOptions),
    ...random,
  });
}

function makeStream(project: IterableProject, given: z.infer<typeof made>, now: number) {
  const { count, people, seed } = given;
  const to = given.to === undefined ? now : Date.parse(given.to);
  return makeEvents({
    count,
    people: typeof people === 'number' ? { count: people, prefix: 'person' } : people,
    projectType: project.type,
    seed,
    from: given.from === undefined ? to - WEEK_MS : Date.parse(given.from),
    to,
  });
}
