import { previewSync } from '../resolvers/export.ts';
import type { SyncPreview as SyncPreviewValue } from '../sync/preview-sync.ts';
import { builder, CHANGE } from './builder.ts';
import { Provider } from './enums.ts';
import { readId } from './global-id.ts';
import { RejectionCount } from './rejection-count.ts';

const SyncPreview = builder.objectRef<SyncPreviewValue>('SyncPreview').implement({
  description:
    'What a run that is started now would do, in people: members = toAdd + unchanged + rejected. Exact as long as the cohort and the list do not change; whom Iterable will refuse nobody can know.',
  fields: (t) => ({
    members: t.exposeInt('members', { description: 'Different people in the cohort.' }),
    toAdd: t.exposeInt('toAdd', { description: 'People who would be put on the list.' }),
    toRemove: t.exposeInt('toRemove', {
      description: 'People who would leave the list, those among them whose removal would be held.',
    }),
    unchanged: t.exposeInt('unchanged', { description: 'People who are on the list and stay.' }),
    rejected: t.exposeInt('rejected', { description: 'Members who would not be on the list.' }),
    wouldBeHeld: t.exposeBoolean('wouldBeHeld', {
      description: 'Whether the removal guard would hold removals until they are approved.',
    }),
    estimatedRequests: t.exposeInt('estimatedRequests', {
      description: 'Requests to the destination, reads included, if none has to be repeated.',
    }),
    estimatedSeconds: t.exposeFloat('estimatedSeconds', {
      description: 'Seconds: as long as the preview took to read, and the requests at the agreed pace.',
    }),
    rejectedByReason: t.expose('rejectedByReason', {
      type: [RejectionCount],
      description: 'The rejected, by reason.',
    }),
  }),
});

const PreviewSyncInput = builder.inputType('PreviewSyncInput', {
  description: 'What to export, and where to.',
  fields: (t) => ({
    cohortId: t.id({
      required: true,
      description: 'The id of the cohort; NOT_FOUND when the project has none with it.',
    }),
    provider: t.field({ type: Provider, required: true, defaultValue: 'ITERABLE', description: 'Where to.' }),
  }),
});

builder.mutationField('previewSync', (t) =>
  t.field({
    type: SyncPreview,
    nullable: true,
    authScopes: CHANGE,
    description:
      'What startSync would do now, without doing it: reads the cohort (one counted query of Mixpanel), and the list where a run would. Nothing is written to Iterable. INVALID_STATE and SYNC_ALREADY_RUNNING as of startSync, and INVALID_STATE when nobody in the cohort has an identity; RATE_LIMITED with extensions.retryAfterSeconds; INVALID_CREDENTIALS; PARTNER_UNAVAILABLE; INTEGRATION_NOT_CONNECTED, MIXPANEL_NOT_CONNECTED.',
    args: { input: t.arg({ type: PreviewSyncInput, required: true, description: 'What, and where to.' }) },
    resolve: (_root, { input }, ctx) =>
      previewSync(ctx, { ...input, cohortId: readId('Cohort', 'cohort', input.cohortId) }),
  }),
);
