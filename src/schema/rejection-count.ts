import type { RejectionCount as RejectionCountValue } from '../../db/queries/rejection.ts';
import { builder } from './builder.ts';
import { RejectionReason } from './enums.ts';

export const RejectionCount = builder.objectRef<RejectionCountValue>('RejectionCount').implement({
  description: 'How many are rejected for one reason.',
  fields: (t) => ({
    reason: t.expose('reason', { type: RejectionReason, description: 'Why.' }),
    count: t.exposeInt('count', { description: 'Members of the cohort.' }),
  }),
});
