import type { SyncRunRow } from '../../db/tables.ts';
import type { SyncErrorCode as SyncErrorCodeValue } from '../../db/values.ts';
import { noticesOf, waitOf } from '../resolvers/run-facts.ts';
import {
  cancelSyncRun,
  decideSyncRun,
  readExportOf,
  readPendingRemovals,
  readRejectedByReason,
  readRunMembers,
  readRuns,
} from '../resolvers/sync-run.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { COSTS, pageOfBlocks, pageOfProject } from './costs.ts';
import {
  MemberOutcome,
  RejectionReason,
  SyncErrorCode,
  SyncPhase,
  SyncRunStatus,
  SyncTrigger,
} from './enums.ts';
import { encodeId, findRow, readExportFilter, readId, rowIdDescription } from './global-id.ts';
import { pageArgs } from './page-args.ts';
import {
  Export,
  PendingRemoval,
  PendingRemovalConnection,
  RunMember,
  RunMemberConnection,
  SyncRun,
  SyncRunConnection,
} from './refs.ts';
import { RejectionCount } from './rejection-count.ts';
import { RunNotice, RunWait } from './run-facts.ts';
import { reads, wantedOf } from './selection.ts';

const SyncCounts = builder.objectRef<SyncRunRow>('SyncCounts').implement({
  description:
    'members = added + unchanged + rejected + notProcessed, always; notProcessed is 0 once a run has (partially) succeeded.',
  fields: (t) => ({
    members: t.exposeInt('members', { description: 'Different people in the cohort.' }),
    added: t.exposeInt('added', { description: 'People put on the list.' }),
    unchanged: t.exposeInt('unchanged', { description: 'People who were on the list and stay.' }),
    removed: t.exposeInt('removed', { description: 'People who were on the list and left.' }),
    rejected: t.exposeInt('rejected', { description: 'Members who are not on the list; members tells why.' }),
    notProcessed: t.exposeInt('not_processed', { description: 'Members whose turn has not come.' }),
    pendingRemovals: t.exposeInt('pending_removals', {
      description:
        'People whose removal waits for approval, or was discarded. 0 once it was approved, or the run was cancelled.',
    }),
    requestsSent: t.exposeInt('requests_sent', {
      description: 'Requests to the destination, reads and retries included.',
    }),
  }),
});

const SyncError = builder
  .objectRef<{ code: SyncErrorCodeValue; message: string; retryable: boolean }>('SyncError')
  .implement({
    description: 'Why a run failed.',
    fields: (t) => ({
      code: t.expose('code', { type: SyncErrorCode, description: 'For programs.' }),
      message: t.exposeString('message', { description: 'For people: what happened and what to do.' }),
      retryable: t.exposeBoolean('retryable', { description: 'Whether the next run may succeed by itself.' }),
    }),
  });

/** What a person is known by. */
const PERSON = {
  distinctId: { nullable: true, description: 'In Mixpanel; null for people who were found on the list.' },
  email: { nullable: true, description: 'In lower case.' },
  userId: { nullable: true, description: 'In Iterable.' },
} as const;

RunMember.implement({
  description: 'What became of one person in a run.',
  fields: (t) => ({
    id: t.id({
      description: rowIdDescription,
      resolve: ({ run_id, outcome, position }) => encodeId('RunMember', `${run_id}-${outcome}-${position}`),
    }),
    distinctId: t.exposeString('distinct_id', PERSON.distinctId),
    email: t.exposeString('email', PERSON.email),
    userId: t.exposeString('user_id', PERSON.userId),
    outcome: t.expose('outcome', { type: MemberOutcome, description: 'What the run did.' }),
    reason: t.expose('reason', {
      type: RejectionReason,
      nullable: true,
      description: 'Why they were rejected.',
    }),
    detail: t.exposeString('detail', { nullable: true, description: 'More, for people.' }),
    at: t.expose('at', {
      type: 'DateTime',
      description: 'When; for people rejected as before: when that was first found.',
    }),
  }),
});

PendingRemoval.implement({
  description: 'Somebody whose removal waits for approval.',
  fields: (t) => ({
    id: t.id({
      description: rowIdDescription,
      resolve: ({ run_id, position }) => encodeId('PendingRemoval', `${run_id}-${position}`),
    }),
    distinctId: t.exposeString('distinct_id', PERSON.distinctId),
    email: t.exposeString('email', PERSON.email),
    userId: t.exposeString('user_id', PERSON.userId),
  }),
});

builder.node(SyncRun, {
  description: 'One execution of an export. Each value is a whole snapshot.',
  id: { resolve: (run) => run.id },
  fields: (t) => ({
    export: t.field({
      type: Export,
      description: 'What it executes.',
      extensions: reads({ run: ['export_id'], follow: true }),
      resolve: (run, _args, ctx) => readExportOf(ctx, run),
    }),
    trigger: t.expose('trigger', { type: SyncTrigger, description: 'What caused it.' }),
    status: t.expose('status', { type: SyncRunStatus, description: 'How far it is, or how it ended.' }),
    phase: t.expose('phase', { type: SyncPhase, description: 'What it is doing; DONE at any end.' }),
    progress: t.exposeFloat('progress', {
      description: '0 to 1, never falling within a run; 1 only when it (partially) succeeded.',
    }),
    revision: t.exposeInt('revision', { description: 'Grows with every change of this run.' }),
    counts: t.field({
      type: SyncCounts,
      description: 'What it did, in people.',
      extensions: reads({ follow: true }),
      resolve: (run) => run,
    }),
    queuedAt: t.expose('queued_at', { type: 'DateTime', description: 'When it was asked for.' }),
    startedAt: t.expose('started_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When a worker took it up, first.',
    }),
    finishedAt: t.expose('finished_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was over.',
    }),
    error: t.field({
      type: SyncError,
      nullable: true,
      description: 'Why it failed; null otherwise.',
      extensions: reads({ run: ['error_code', 'error_message', 'error_retryable'] }),
      resolve: ({ error_code: code, error_message: message, error_retryable: retryable }) =>
        code === null || message === null || retryable === null ? null : { code, message, retryable },
    }),
    notices: t.exposeStringList('notices', {
      description: 'What the user should know though the run went on; noticeDetails has their codes.',
    }),
    noticeDetails: t.field({
      type: [RunNotice],
      description: 'The notices with their codes, in the same order.',
      extensions: reads({ run: ['notices', 'notice_details'] }),
      resolve: noticesOf,
    }),
    waiting: t.field({
      type: RunWait,
      nullable: true,
      description:
        'While it waits: for what, and until when if that is known. Null for one that goes on or is over.',
      extensions: reads({ run: ['status', 'pending_removals', 'wait_reason', 'wait_until'] }),
      resolve: waitOf,
    }),
    startedBy: t.exposeString('started_by', {
      nullable: true,
      description: 'The name of the token that asked for it; null for scheduled runs and pushes.',
    }),
    cancelRequestedAt: t.expose('cancel_requested_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When cancellation was requested. A run that is going ends between two batches.',
    }),
    cancelRequestedBy: t.exposeString('cancel_requested_by', {
      nullable: true,
      description:
        'The name of the token that asked for its end: by cancelSyncRun, or by a mutation that ends runs (stopExport, disconnectIntegration, connectMixpanel with another project). Null if nobody has, and for runs of versions that did not record it.',
    }),
    ledgerDeletedAt: t.expose('ledger_deleted_at', {
      type: 'DateTime',
      nullable: true,
      description:
        'When what it did with each person was deleted (LEDGER_RETENTION, 30 days by default); members is empty since. Null before.',
    }),
    rejectedByReason: t.field({
      complexity: { field: COSTS.rejections, multiplier: 1 },
      type: [RejectionCount],
      description:
        'The rejected, by reason, the most frequent first; of a run that is over they add up to counts.rejected. Empty once ledgerDeletedAt is set.',
      extensions: reads({ run: ['finished_at', 'ledger_deleted_at'] }),
      resolve: (run, _args, ctx) => readRejectedByReason(ctx, run),
    }),
    pendingRemovals: t.field({
      type: PendingRemovalConnection,
      complexity: pageOfBlocks,
      description:
        'Who would leave if the removals of a held run were approved now. Empty once it was decided.',
      args: pageArgs(t.arg),
      extensions: reads({}),
      resolve: (run, args, ctx) => readPendingRemovals(ctx, run, args),
    }),
    members: t.field({
      type: RunMemberConnection,
      complexity: pageOfBlocks,
      description:
        'What happened to each person: those added, then removed, then rejected. Unchanged people are counted, not listed.',
      args: {
        ...pageArgs(t.arg),
        outcome: t.arg({ type: [MemberOutcome], description: 'Only these; UNCHANGED gives nobody.' }),
        reason: t.arg({
          type: [RejectionReason],
          description: 'Only those rejected for one of these reasons.',
        }),
      },
      extensions: reads({ run: ['planned_at', 'ledger_deleted_at'] }),
      resolve: (run, args, ctx) => readRunMembers(ctx, run, args),
    }),
  }),
});

builder.queryFields((t) => ({
  syncRuns: t.field({
    type: SyncRunConnection,
    nullable: true,
    authScopes: READ,
    complexity: pageOfProject,
    description: 'The runs of the project, newest first.',
    args: {
      ...pageArgs(t.arg),
      exportId: t.arg.id({
        description: 'Only those of this export; none when the project has no export with this id.',
      }),
      status: t.arg({ type: [SyncRunStatus], description: 'Only those in one of these states.' }),
    },
    resolve: (_root, args, ctx, info) =>
      readRuns(
        ctx,
        args,
        wantedOf(info),
        args.exportId == null ? undefined : readExportFilter(args.exportId),
      ),
  }),
  syncRun: t.field({
    type: SyncRun,
    nullable: true,
    authScopes: READ,
    description: 'One run; null when the project has none with this id.',
    args: { id: t.arg.id({ required: true, description: 'The id of the run.' }) },
    resolve: (_root, { id }, ctx) => findRow(ctx, 'SyncRun', id),
  }),
}));

const runIdArg = {
  required: true,
  description: 'The id of the run; NOT_FOUND when the project has none with it.',
} as const;
const readRunId = (id: string) => readId('SyncRun', 'sync run', id);

builder.mutationFields((t) => ({
  cancelSyncRun: t.field({
    type: SyncRun,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Ends a run: a queued or held one at once, a running one between two batches; what was sent stays sent and is recorded. INVALID_STATE when it is over.',
    args: { runId: t.arg.id(runIdArg) },
    resolve: (_root, { runId }, ctx) => cancelSyncRun(ctx, readRunId(runId)),
  }),
  approveRemovals: t.field({
    type: SyncRun,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Lets a run that the removal guard holds remove the people who were pending: the cohort is read again, those of them who still do not qualify are removed, newcomers are added, and anybody else waits for the next run. The counts are then those of the second reading. INVALID_STATE when the run is not held; MIXPANEL_NOT_CONNECTED, INTEGRATION_NOT_CONNECTED.',
    args: { runId: t.arg.id(runIdArg) },
    resolve: (_root, { runId }, ctx) => decideSyncRun(ctx, readRunId(runId), 'APPROVED'),
  }),
  discardRemovals: t.field({
    type: SyncRun,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Finishes a run that the removal guard holds without removing: additions that had waited are sent, and the people who were pending are kept on the list (Export.keptCount). INVALID_STATE when the run is not held; INTEGRATION_NOT_CONNECTED.',
    args: { runId: t.arg.id(runIdArg) },
    resolve: (_root, { runId }, ctx) => decideSyncRun(ctx, readRunId(runId), 'DISCARDED'),
  }),
}));
