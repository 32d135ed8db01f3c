import { makeEvents } from '../sandbox/iterable/sample-events.ts';
import { openWebhookLine, type WebhookLine } from '../sandbox/iterable/webhook-line.ts';
import { createRandom } from '../sandbox/random.ts';
import { countEvents } from '../test/support/count-events.ts';
import type { IterableEvent } from '../test/support/iterable-events.ts';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { megabytes, percentile, printResults, seconds, tell } from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * Iterable's system webhook. First 500 events a second, each sent at its moment whatever became of those before it: how long
 * an answer takes. Then events as fast as answers come, one in twenty of them twice: how many are taken, when all are in
 * Mixpanel, and whether the months are what a count of everything says.
 */
const options = readOptions();
/** Of the second part. */
const count = options.members ?? 200_000;
const RATE = 500;
const RATE_SECONDS = 30;
/** Before that, so that what V8 compiles in the first seconds is not taken for what an answer costs. */
const WARM_UP_SECONDS = 10;
const REPEATED = 0.05;
const CALLS_AT_ONCE = 20;
const MAX_P99_MS = 20;

const partners = await startPartners({ members: 1 });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
const service = await startService({ databaseUrl: database.url, partners });
const { integration } = await service.api.query(
  '{ integration(provider: ITERABLE) { webhook { url password } } }',
);
const line = openWebhookLine({
  url: `${service.url}${new URL(integration.webhook.url).pathname}`,
  auth: { type: 'oauth2', token: integration.webhook.password },
});
const day = 86_400_000;
const now = Date.now();
const total = count + RATE * (WARM_UP_SECONDS + RATE_SECONDS);

function* makeStream(size: number, seed: number): Generator<IterableEvent> {
  yield* makeEvents({
    count: size,
    people: { count: Math.ceil(size / 10), prefix: `seed${seed}` },
    projectType: 'EMAIL',
    seed,
    from: now - 40 * day,
    to: now - day,
  });
}

async function post(to: WebhookLine, event: IterableEvent): Promise<void> {
  const status = await to.post(JSON.stringify(event));
  if (status !== 200) throw new Error(`The service answered ${status}.`);
}

/** An open loop: a service that is slow is sent no less. */
async function sendAtRate(events: IterableEvent[]): Promise<number[]> {
  const times: number[] = [];
  const under: Promise<void>[] = [];
  const begun = performance.now();
  for (let sent = 0; sent < events.length; ) {
    const due = Math.min(events.length, Math.floor(((performance.now() - begun) / 1000) * RATE));
    for (; sent < due; sent++) {
      const sentAt = performance.now();
      under.push(post(line, events[sent]!).then(() => void times.push(performance.now() - sentAt)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  return times;
}

async function sendAll(): Promise<number> {
  const random = createRandom(2);
  const events = makeStream(count, 2);
  let repeat: IterableEvent | undefined;
  const next = () => {
    const again = repeat;
    repeat = undefined;
    if (again) return again;
    const { value } = events.next();
    if (value && random() < REPEATED) repeat = value;
    return value as IterableEvent | undefined;
  };
  let sent = 0;
  const sendInTurn = async () => {
    for (let event = next(); event; event = next()) {
      await post(line, event);
      sent++;
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, sendInTurn));
  return sent;
}

const FIELDS = `eventsReceived eventsImported eventsRejected repeatsDropped exemptEvents countedEvents countedUsers
  exemptOnlyUsers byEvent { event exempt events users }`;
const readUsage = async (month: string) =>
  (await service.api.query(`{ messagingUsage(month: "${month}") { ${FIELDS} eventsPending } }`))
    .messagingUsage;
const isWaiting = async () => {
  const { rows } = await database.client.query(`select
    exists (select from messaging_inbox) or exists (select from messaging_events where state = 'PENDING') as waiting`);
  return rows[0].waiting as boolean;
};
const untilCarried = async () => {
  while (await isWaiting()) await new Promise((resolve) => setTimeout(resolve, 100));
};

tell(`${RATE} events a second for ${RATE_SECONDS} s`);
const atRate = [...makeStream(RATE * (WARM_UP_SECONDS + RATE_SECONDS), 1)];
await sendAtRate(atRate.splice(0, RATE * WARM_UP_SECONDS));
const cpuBefore = service.cpuSeconds();
const times = await sendAtRate(atRate);
const cpuAtRate = (service.cpuSeconds() - cpuBefore) / RATE_SECONDS;
await untilCarried();

tell(`${count} events as fast as answers come`);
const begun = performance.now();
const sent = await sendAll();
const sendSeconds = (performance.now() - begun) / 1000;
await untilCarried();
const carrySeconds = (performance.now() - begun) / 1000;

tell('the count of everything');
const months = new Set<string>();
function* everything(): Generator<IterableEvent> {
  yield* makeStream(RATE * (WARM_UP_SECONDS + RATE_SECONDS), 1);
  yield* makeStream(count, 2);
}
for (const { dataFields } of everything()) months.add(String(dataFields?.createdAt).slice(0, 7));
let differences = 0;
let repeats = 0;
const readTimes: number[] = [];
for (const month of [...months].sort()) {
  const readAt = performance.now();
  const usage = await readUsage(month);
  readTimes.push(performance.now() - readAt);
  repeats += usage.repeatsDropped;
  const expected = countEvents(everything(), month);
  const sorted = (list: { event: string }[]) => [...list].sort((a, b) => (a.event < b.event ? -1 : 1));
  const told = {
    ...usage,
    month,
    repeatsDropped: 0,
    byEvent: sorted(usage.byEvent),
    eventsPending: undefined,
  };
  const counted = { ...expected, byEvent: sorted(expected.byEvent), eventsPending: undefined };
  for (const name of Object.keys(counted) as (keyof typeof counted)[]) {
    if (JSON.stringify(told[name]) !== JSON.stringify(counted[name])) differences++;
  }
}
if (repeats !== sent - count) differences++;
const { events: arrived } = await partners.stats();
const peak = service.peakMemory();
line.close();
await service.stop();
await postgres.stop();
await partners.stop();

const p99 = percentile(times, 99);
printResults(`Iterable's system webhook: ${RATE} events a second, then ${count} at once`, [
  {
    what: `answer at ${RATE} events a second, p99`,
    measured: `${p99.toFixed(1)} ms`,
    target: `≤ ${MAX_P99_MS} ms`,
    isMet: p99 <= MAX_P99_MS,
  },
  {
    what: '  p50 · longest',
    measured: `${percentile(times, 50).toFixed(1)} · ${Math.max(...times).toFixed(0)} ms`,
  },
  { what: '  CPU of the service', measured: `${(cpuAtRate * 100).toFixed(0)} % of a core` },
  { what: 'events a second, sender included', measured: (sent / sendSeconds).toFixed(0) },
  {
    what: 'sent within · in Mixpanel within',
    measured: `${seconds(sendSeconds)} · ${seconds(carrySeconds)}`,
  },
  {
    what: 'events in Mixpanel',
    measured: String(arrived),
    target: String(total),
    isMet: arrived === total,
  },
  {
    what: 'differences to a count of everything',
    measured: String(differences),
    target: '0',
    isMet: differences === 0,
  },
  { what: 'a month is read within', measured: `${Math.max(...readTimes).toFixed(0)} ms` },
  { what: 'peak memory of the service', measured: megabytes(peak) },
]);
