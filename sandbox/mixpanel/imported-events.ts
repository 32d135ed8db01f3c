/** One event as it was accepted. */
export interface ImportedEvent {
  event: string;
  /** Milliseconds since the epoch, whichever of the two units came. */
  time: number;
  distinctId: string;
  insertId: string;
  properties: Record<string, unknown>;
}

export interface ImportedEvents {
  /** Accepted records, those that came twice counted twice. */
  readonly accepted: number;
  /** All of them in order; where events are counted only, the last hundred. */
  readonly all: readonly ImportedEvent[];
  /** What queries show: of the same event, time, distinct_id and $insert_id the latest record. */
  distinct(): ImportedEvent[];
  /** People whom the events of a month (YYYY-MM, UTC) make monthly tracked users. */
  mtus(month: string): number;
  add(event: ImportedEvent): void;
}

/** Events of Iterable that make nobody a monthly tracked user (Mixpanel's page on Iterable). */
const EXEMPT = new Set([
  'emailSend',
  'emailBounce',
  'emailComplaint',
  'emailSendSkip',
  'emailSubscribe',
  'emailUnSubscribe',
  'hostedUnsubscribeClick',
  'inAppSend',
  'inAppSendSkip',
  'pushBounce',
  'pushSend',
  'pushSendSkip',
  'smsBounce',
  'smsReceived',
  'smsSend',
  'smsSendSkip',
  'webPushSendSkip',
]);

const KEPT_ANYWAY = 100;

export function createImportedEvents(keepsAll: () => boolean): ImportedEvents {
  let accepted = 0;
  let kept: ImportedEvent[] = [];
  const requireAll = () => {
    if (kept.length < accepted) throw new Error('The events were counted only; set keepsEvents first.');
    return kept;
  };
  return {
    get accepted() {
      return accepted;
    },
    get all() {
      return keepsAll() ? kept : kept.slice(-KEPT_ANYWAY);
    },
    distinct() {
      const latest = new Map<string, ImportedEvent>();
      for (const one of requireAll()) {
        latest.set(JSON.stringify([one.event, one.time, one.distinctId, one.insertId]), one);
      }
      return [...latest.values()];
    },
    mtus(month) {
      const people = new Set<string>();
      for (const { event, time, distinctId } of requireAll()) {
        // An empty distinct_id is nobody.
        if (EXEMPT.has(event) || distinctId === '' || !isIn(time, month)) continue;
        people.add(distinctId);
      }
      return people.size;
    },
    add(event) {
      accepted++;
      kept.push(event);
      if (!keepsAll() && kept.length > 10 * KEPT_ANYWAY) kept = kept.slice(-KEPT_ANYWAY);
    },
  };
}

function isIn(time: number, month: string): boolean {
  return new Date(time).toISOString().startsWith(month);
}
