import { setTimeout as wait } from 'node:timers/promises';
import type { Random } from '../random.ts';
import { openWebhookLine } from './webhook-line.ts';

/** Body of one call of Iterable's system webhook. */
export interface WebhookEvent {
  email?: string;
  userId?: string;
  eventName: string;
  dataFields: Record<string, unknown>;
}

export type WebhookAuth =
  | { type: 'none' }
  /** Authorization is the token and nothing else. */
  | { type: 'bare' | 'oauth2' | 'bearer'; token: string }
  | { type: 'basic'; token: string }
  | { type: 'basic'; username: string; password: string }
  /** A header of its own. */
  | { type: 'header'; header: string; token: string };

export interface WebhookTarget {
  url: string;
  auth: WebhookAuth;
  /** Of every call, besides. */
  headers?: Record<string, string>;
}

export interface SendOptions {
  /** Events come in any order. */
  isShuffled?: boolean;
  /** This share of them comes twice, 0 to 1. */
  isRepeated?: number;
  /** Requests at a time. */
  concurrency?: number;
  /** Of the first wait before a retry; the others keep their ratio to it. */
  firstWaitMs?: number;
  /** For the order and the repeats. */
  random?: Random;
}

export interface SendOutcome {
  /** Taken with a 2xx; an event that came twice counts twice. */
  sent: number;
  calls: number;
  /** Given up. */
  failed: number;
  /** Calls by the status of their answer; 0: none came. */
  statuses: Record<string, number>;
}

export interface EventSender {
  send(target: WebhookTarget, events: Iterable<WebhookEvent>, options?: SendOptions): Promise<SendOutcome>;
  /** In the background, once everything is sent that was queued before. */
  queue(target: WebhookTarget, events: Iterable<WebhookEvent>): void;
  /** Resolves when nothing is queued any more. */
  untilQueueIsEmpty(): Promise<void>;
  /** Breaks off what is being sent. */
  stop(): Promise<void>;
}

const CONCURRENCY = 10;
const FIRST_WAIT_MS = 1_000;
/** After 1, 5 and 30 seconds; nobody has told how Iterable retries. */
const WAIT_RATIOS = [1, 5, 30];

/** Sends events as Iterable's system webhook does: one a request, again when the answer is no 2xx. */
export function createEventSender(): EventSender {
  const stopping = new AbortController();
  const { signal } = stopping;
  const sending = new Set<Promise<SendOutcome>>();
  let queued: Promise<unknown> = Promise.resolve();

  function send(target: WebhookTarget, events: Iterable<WebhookEvent>, options: SendOptions = {}) {
    const outcome = sendAll(target, events, options, signal);
    sending.add(outcome);
    return outcome.finally(() => sending.delete(outcome));
  }

  return {
    send,
    queue(target, events) {
      queued = queued.then(() => send(target, events));
    },
    async untilQueueIsEmpty() {
      for (let last: unknown; last !== queued; ) {
        last = queued;
        await last;
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all(sending);
    },
  };
}

async function sendAll(
  target: WebhookTarget,
  events: Iterable<WebhookEvent>,
  options: SendOptions,
  signal: AbortSignal,
): Promise<SendOutcome> {
  const { concurrency = CONCURRENCY, firstWaitMs = FIRST_WAIT_MS } = options;
  const outcome: SendOutcome = { sent: 0, calls: 0, failed: 0, statuses: {} };
  const line = openWebhookLine(target);
  signal.addEventListener('abort', line.close, { once: true });
  // One iterator for all workers: each takes the event that comes next.
  const source = arrange(events, options);

  async function work() {
    for (const event of source) {
      if (signal.aborted) return;
      const isTaken = await deliver(JSON.stringify(event));
      if (signal.aborted) return;
      if (isTaken) outcome.sent++;
      else outcome.failed++;
    }
  }

  async function deliver(body: string): Promise<boolean> {
    for (const ratio of [0, ...WAIT_RATIOS]) {
      if (ratio > 0) await wait(ratio * firstWaitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return false;
      outcome.calls++;
      const status = await line.post(body);
      outcome.statuses[status] = (outcome.statuses[status] ?? 0) + 1;
      if (status >= 200 && status < 300) return true;
    }
    return false;
  }

  try {
    await Promise.all(Array.from({ length: concurrency }, work));
    return outcome;
  } finally {
    signal.removeEventListener('abort', line.close);
    line.close();
  }
}

function* arrange(
  events: Iterable<WebhookEvent>,
  { isShuffled = false, isRepeated = 0, random = Math.random }: SendOptions,
): Generator<WebhookEvent> {
  if (isShuffled) return yield* shuffle([...arrange(events, { isRepeated, random })], random);
  for (const event of events) {
    yield event;
    if (random() < isRepeated) yield event;
  }
}

function* shuffle<Item>(items: Item[], random: Random): Generator<Item> {
  for (let left = items.length; left > 0; left--) {
    const place = Math.floor(random() * left);
    yield items[place]!;
    items[place] = items[left - 1]!;
  }
}
