import {
  changeEach,
  type ExportChange as ExportChangeValue,
  MAX_ITEMS,
  type OperationError as OperationErrorValue,
  outcomeOf,
  type SyncStart as SyncStartValue,
  startEach,
} from '../resolvers/bulk.ts';
import { pauseExport, resumeExport, startSync } from '../resolvers/export.ts';
import { builder, CHANGE } from './builder.ts';
import { costOfItems } from './costs.ts';
import { ErrorCode } from './enums.ts';
import { StartSyncInput } from './export.ts';
import { encodeId, readExportId, readId } from './global-id.ts';
import { Export, SyncRun } from './refs.ts';

const OperationError = builder.objectRef<OperationErrorValue>('OperationError').implement({
  description: 'What went wrong with one item of a bulk operation; the others are not held up.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCode, description: 'For programs.' }),
    message: t.exposeString('message', { description: 'For people.' }),
    runId: t.id({
      nullable: true,
      description: 'Of SYNC_ALREADY_RUNNING: the run that stands in the way.',
      resolve: ({ runId }) => (runId === undefined ? null : encodeId('SyncRun', runId)),
    }),
  }),
});

const SyncStart = builder.objectRef<SyncStartValue>('SyncStart').implement({
  description: 'What became of one of several exports that were to be started.',
  fields: (t) => ({
    cohortId: t.exposeID('cohortId', { description: 'As it was given.' }),
    run: t.field({
      type: SyncRun,
      nullable: true,
      description: 'The run that was queued; null when there is an error.',
      resolve: outcomeOf,
    }),
    error: t.field({
      type: OperationError,
      nullable: true,
      description: 'Why none was.',
      resolve: ({ error }) => error,
    }),
  }),
});

const ExportChange = builder.objectRef<ExportChangeValue>('ExportChange').implement({
  description: 'What became of one of several exports that were to be changed.',
  fields: (t) => ({
    exportId: t.exposeID('exportId', { description: 'As it was given.' }),
    export: t.field({
      type: Export,
      nullable: true,
      description: 'As it is now; null when there is an error.',
      resolve: outcomeOf,
    }),
    error: t.field({
      type: OperationError,
      nullable: true,
      description: 'Why it was not changed.',
      resolve: ({ error }) => error,
    }),
  }),
});

const atMost: { maxLength: [number, { message: string }] } = {
  maxLength: [MAX_ITEMS, { message: `must have at most ${MAX_ITEMS} items.` }],
};
const idsArg = {
  required: true as const,
  description: `The ids of the exports, at most ${MAX_ITEMS}.`,
  validate: atMost,
};

builder.mutationFields((t) => ({
  startSyncs: t.field({
    type: [SyncStart],
    nullable: true,
    authScopes: CHANGE,
    complexity: ({ inputs }) => costOfItems(inputs.length),
    description:
      'Does what startSync does for several cohorts, one after the other, with a result for each in the order of the inputs. One that fails holds up and undoes no other.',
    args: {
      inputs: t.arg({
        type: [StartSyncInput],
        required: true,
        description: `What, where to, how often; at most ${MAX_ITEMS}.`,
        validate: atMost,
      }),
    },
    resolve: (_root, { inputs }, ctx) =>
      startEach(inputs, async (input) =>
        startSync(ctx, { ...input, cohortId: readId('Cohort', 'cohort', input.cohortId) }),
      ),
  }),
  pauseExports: t.field({
    type: [ExportChange],
    nullable: true,
    authScopes: CHANGE,
    complexity: (args) => costOfItems(args.ids.length),
    description:
      'Does what pauseExport does for several exports, with a result for each in the order of the ids.',
    args: { ids: t.arg.idList(idsArg) },
    resolve: (_root, args, ctx) =>
      changeEach(args.ids.map(String), async (id) => pauseExport(ctx, readExportId(id))),
  }),
  resumeExports: t.field({
    type: [ExportChange],
    nullable: true,
    authScopes: CHANGE,
    complexity: (args) => costOfItems(args.ids.length),
    description:
      'Does what resumeExport does for several exports, with a result for each in the order of the ids.',
    args: { ids: t.arg.idList(idsArg) },
    resolve: (_root, args, ctx) =>
      changeEach(args.ids.map(String), async (id) => resumeExport(ctx, readExportId(id))),
  }),
}));
