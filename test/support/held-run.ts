import { expect } from 'vitest';
import type { GraphqlError } from './api-client.ts';
import type { RunSnapshot, TestApp } from './test-app.ts';
import { untilValue, watch } from './watch.ts';

const STATE = `id status phase progress notices
  counts { members added unchanged removed rejected notProcessed pendingRemovals requestsSent }`;

const MUTATIONS = {
  approve: `mutation ($id: ID!) { approveRemovals(runId: $id) { ${STATE} } }`,
  discard: `mutation ($id: ID!) { discardRemovals(runId: $id) { ${STATE} } }`,
  cancel: `mutation ($id: ID!) { cancelSyncRun(runId: $id) { ${STATE} } }`,
};

type Decision = keyof typeof MUTATIONS;

/** The run once it waits for approval, as a watcher is shown it. */
export async function untilHeld(app: TestApp, runId: string): Promise<RunSnapshot> {
  const { syncProgress } = await untilValue(
    watch(
      app.api,
      'server-sent events',
      `subscription ($id: ID!) { syncProgress(runId: $id) { ${STATE} } }`,
      { id: runId },
    ),
    (value) => value.syncProgress.status === 'AWAITING_APPROVAL',
  );
  return syncProgress;
}

/** Runs the export until the guard holds the run. */
export async function runUntilHeld(app: TestApp, exportId: string): Promise<RunSnapshot> {
  return await untilHeld(app, await app.runExport(exportId));
}

/** Decides about a held run, and waits for its end. */
export async function decide(app: TestApp, runId: string, decision: Decision): Promise<RunSnapshot> {
  await app.api.query(MUTATIONS[decision], { id: runId });
  return await app.untilOver(runId);
}

export async function refuseDecision(
  app: TestApp,
  runId: string,
  decision: Decision,
  secret = app.ownerSecret,
): Promise<GraphqlError['extensions']> {
  return (await app.as(secret).fail(MUTATIONS[decision], { id: runId })).extensions;
}

export interface GuardedExport {
  listSize: number;
  keptCount: number;
  delay: { reason: string; achievableIntervalMinutes: number } | null;
}

export async function readGuarded(app: TestApp, exportId: string): Promise<GuardedExport> {
  const { export: exported } = await app.api.query(
    `query ($id: ID!) { export(id: $id) {
      listSize keptCount delay { reason achievableIntervalMinutes } } }`,
    { id: exportId },
  );
  return exported;
}

/** The ledger says what the counts say, person by person. */
export async function expectLedger(app: TestApp, run: RunSnapshot): Promise<void> {
  const ledger = await app.readLedger(run.id);
  const count = (outcome: string) => ledger.filter((member) => member.outcome === outcome).length;
  expect({ added: count('ADDED'), removed: count('REMOVED'), rejected: count('REJECTED') }).toEqual({
    added: run.counts.added,
    removed: run.counts.removed,
    rejected: run.counts.rejected,
  });
}
