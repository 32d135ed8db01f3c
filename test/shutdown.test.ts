import { expect, test } from 'vitest';
import { person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

const PROGRESS = 'subscription ($id: ID!) { syncProgress(runId: $id) { status phase } }';

test('a service that stops breaks watchers off instead of telling them that the run is over', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a')]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', hang: true });
  const { runId } = await app.startSync(cohort.id);

  const events = app.api.sse(PROGRESS, { id: runId });
  for (let phase = ''; phase !== 'ADDING'; ) phase = (await events.next()).value.syncProgress.phase;
  const socket = app.api.webSocket();
  const closed = new Promise<number>((resolve) => {
    socket.on('closed', (event) => resolve((event as CloseEvent).code));
  });
  let isCompleted = false;
  const failed = new Promise<void>((resolve) => {
    socket.subscribe(
      { query: PROGRESS, variables: { id: runId } },
      {
        next: () => undefined,
        error: () => resolve(),
        complete: () => {
          isCompleted = true;
          resolve();
        },
      },
    );
  });
  await new Promise((resolve) => socket.on('connected', resolve));

  const streamEnd = (async () => {
    for (;;) if ((await events.next()).done) return;
  })();
  await Promise.all([app.app.stop(), expect(streamEnd).rejects.toThrow()]);
  expect(await closed).toBe(1001);
  await failed;
  expect(isCompleted).toBe(false);
});

test('a stream is broken off also for somebody who did not say that they accept one', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${app.ownerSecret}`,
      'content-type': 'application/json',
      accept: '*/*',
    },
    body: JSON.stringify({ query: 'subscription { integrationUpdated { status } }' }),
  });
  const rest = response.text();
  await Promise.all([app.app.stop(), expect(rest).rejects.toThrow()]);
});
