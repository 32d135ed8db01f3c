import { Agent, request } from 'undici';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { megabytes, people, printResults, seconds, tell } from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * Mixpanel's cohort webhook, called with pages of 1,000 people as fast as answers come: all members, the same once more, and
 * one in a hundred who joined. How many calls are answered, how long one waits, and when the session has been applied.
 */
const options = readOptions();
const members = options.members ?? 1_000_000;
const PAGE_SIZE = 1_000;
const CALLS_AT_ONCE = 10;
/** Bodies are made before they are sent, because the sender works on the service's cores; so many fit into 120 MB. */
const BODIES_AT_ONCE = 1_000;

const partners = await startPartners({ members: 1 });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
const service = await startService({ databaseUrl: database.url, partners });
const { mixpanel } = await service.api.query('{ mixpanel { webhook { url username password } } }');
const { url, username, password } = mixpanel.webhook;
const path = new URL(url).pathname;
const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
const dispatcher = new Agent({ connections: CALLS_AT_ONCE });

function bodyOf(action: string, session: string, from: number, count: number): Buffer {
  const pages = Math.ceil(count / PAGE_SIZE);
  const body = {
    action,
    parameters: {
      mixpanel_project_id: '1',
      mixpanel_cohort_id: '5000001',
      mixpanel_cohort_name: 'Pushed',
      mixpanel_session_id: session,
      page_info: { total_pages: pages, page_count: from / PAGE_SIZE + 1 },
      members: Array.from({ length: Math.min(PAGE_SIZE, count - from) }, (_, index) => ({
        mixpanel_distinct_id: `${action === 'members' ? 'person' : 'joined'}-${from + index}`,
        email: `person${from + index}@mail.sample.com`,
        first_name: 'A',
        last_name: 'B',
      })),
    },
  };
  return Buffer.from(JSON.stringify(body));
}

/** How long the answer takes, in milliseconds. */
async function post(body: Buffer): Promise<number> {
  const begun = performance.now();
  const response = await request(`${service.url}${path}`, {
    dispatcher,
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body,
  });
  await response.body.dump();
  if (response.statusCode !== 200) throw new Error(`The service answered ${response.statusCode}.`);
  return performance.now() - begun;
}

async function send(action: string, session: string, count: number) {
  const times: number[] = [];
  let sendSeconds = 0;
  let sentAt = 0;
  for (let from = 0; from < count; from += BODIES_AT_ONCE * PAGE_SIZE) {
    const bodies: Buffer[] = [];
    const end = Math.min(count, from + BODIES_AT_ONCE * PAGE_SIZE);
    for (let page = from; page < end; page += PAGE_SIZE) bodies.push(bodyOf(action, session, page, count));
    const begun = performance.now();
    let next = 0;
    const sendInTurn = async () => {
      while (next < bodies.length) times.push(await post(bodies[next++]!));
    };
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, sendInTurn));
    sentAt = performance.now();
    sendSeconds += (sentAt - begun) / 1000;
  }
  const countWaiting = async () =>
    (await database.client.query(`select 1 from pushed_sessions where state <> 'APPLIED'`)).rowCount;
  while ((await countWaiting()) !== 0) await new Promise((resolve) => setTimeout(resolve, 50));
  const applySeconds = (performance.now() - sentAt) / 1000;
  times.sort((left, right) => left - right);
  return {
    callsPerSecond: times.length / sendSeconds,
    p99: times[Math.floor(times.length * 0.99)]!,
    applySeconds,
  };
}

tell(`${people(members)} pushed`);
const first = await send('members', 'first', members);
const atFirst = service.peakMemory();
const walBefore = await database.walBytes();
const again = await send('members', 'again', members);
const walAgain = (await database.walBytes()) - walBefore;
const joined = await send('add_members', 'joined', members / 100);
await service.stop();
await postgres.stop();
await partners.stop();
await dispatcher.close();

printResults(`Mixpanel's cohort webhook: ${people(members)}, ${CALLS_AT_ONCE} calls at a time`, [
  {
    what: 'calls a second, sender included',
    measured: first.callsPerSecond.toFixed(0),
    target: '≥ 200',
    isMet: first.callsPerSecond >= 200,
  },
  { what: 'answer, p99', measured: `${first.p99.toFixed(0)} ms` },
  { what: 'all members applied after', measured: seconds(first.applySeconds) },
  { what: 'the same again applied after', measured: seconds(again.applySeconds) },
  { what: '  WAL written, its pages included', measured: megabytes(walAgain) },
  { what: `${people(members / 100)} who joined applied after`, measured: seconds(joined.applySeconds) },
  { what: 'peak memory of the service', measured: megabytes(atFirst) },
]);
