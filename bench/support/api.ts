export interface RunCounts {
  members: number;
  added: number;
  unchanged: number;
  removed: number;
  rejected: number;
  requestsSent: number;
}

export interface FinishedRun {
  id: string;
  status: string;
  counts: RunCounts;
  error: { code: string; message: string } | null;
  /** From the call that asked for it to the event that said it was over. */
  seconds: number;
}

// biome-ignore lint/suspicious/noExplicitAny: answers have the shape that the query beside the call asks for.
type Answer = any;

export interface Api {
  query(text: string, variables?: Record<string, unknown>): Promise<Answer>;
  /** Exports a cohort, or runs its export again, and waits for the end. Throws unless the run succeeded. */
  sync(cohortId: string): Promise<FinishedRun>;
  startSync(cohortId: string): Promise<string>;
  untilOver(runId: string): Promise<Omit<FinishedRun, 'seconds'>>;
  cohortIds(): Promise<string[]>;
}

const RUN =
  'id status finishedAt counts { members added unchanged removed rejected requestsSent } error { code message }';

/** The public API as the benchmarks drive it. */
export function createApi(url: string, token: string): Api {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const post = (query: string, variables: Record<string, unknown>, more: Record<string, string> = {}) =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { ...headers, ...more },
      body: JSON.stringify({ query, variables }),
    });

  const api: Api = {
    async query(text, variables = {}) {
      const { data, errors } = (await (await post(text, variables)).json()) as Answer;
      if (errors) throw new Error(`The operation failed: ${JSON.stringify(errors)}`);
      return data;
    },
    async startSync(cohortId) {
      const { startSync } = await api.query(
        'mutation ($input: StartSyncInput!) { startSync(input: $input) { id } }',
        { input: { cohortId, syncType: 'ONE_TIME' } },
      );
      return startSync.id;
    },
    async untilOver(runId) {
      const response = await post(
        `subscription ($id: ID!) { syncProgress(runId: $id) { ${RUN} } }`,
        { id: runId },
        { accept: 'text/event-stream' },
      );
      let text = '';
      let last: Answer;
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const events = text.split('\n\n');
        text = events.pop()!;
        for (const event of events) {
          const data = /^data: (.+)$/m.exec(event)?.[1];
          if (data !== undefined) last = JSON.parse(data).data?.syncProgress ?? last;
        }
      }
      return last;
    },
    async sync(cohortId) {
      const begun = performance.now();
      const run = await api.untilOver(await api.startSync(cohortId));
      const seconds = (performance.now() - begun) / 1000;
      if (run.status !== 'SUCCEEDED') throw new Error(`The run ended as ${JSON.stringify(run)}`);
      return { ...run, seconds };
    },
    async cohortIds() {
      const { cohorts } = await api.query('{ cohorts(first: 100) { edges { node { id } } } }');
      return cohorts.edges.map((edge: { node: { id: string } }) => edge.node.id);
    },
  };
  return api;
}

/** Further tokens of the project; the secrets of them. */
export async function createTokens(api: Api, count: number, role = 'CONSUMER'): Promise<string[]> {
  const secrets: string[] = [];
  for (let index = 0; index < count; index++) {
    const { createApiToken } = await api.query(
      'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret } }',
      { input: { name: `Benchmark ${index}`, role } },
    );
    secrets.push(createApiToken.secret);
  }
  return secrets;
}

/** Both partners as the players of bench/partners.ts take them: any key and any account will do. */
export async function connectPartners(api: Api): Promise<void> {
  await api.query(
    'mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { id } }',
    {
      input: { apiKey: 'benchmark-key', projectType: 'EMAIL' },
    },
  );
  await api.query('mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { id } }', {
    input: {
      region: 'US',
      projectId: '1',
      serviceAccountUsername: 'bench',
      serviceAccountSecret: 'bench',
      idMerge: 'ORIGINAL',
    },
  });
}
