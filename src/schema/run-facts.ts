import type { RunNotice as RunNoticeValue } from '../../db/json-columns.ts';
import type { RunWait as RunWaitValue } from '../resolvers/run-facts.ts';
import { builder } from './builder.ts';
import { RunNoticeCode, RunWaitReason } from './enums.ts';

export const RunNotice = builder.objectRef<RunNoticeValue>('RunNotice').implement({
  description: 'What the user should know of a run though it went on.',
  fields: (t) => ({
    code: t.expose('code', { type: RunNoticeCode, description: 'For programs.' }),
    message: t.exposeString('message', { description: 'For people.' }),
    count: t.exposeInt('count', {
      nullable: true,
      description: 'Of what the code says, if it can be counted.',
    }),
  }),
});

export const RunWait = builder.objectRef<RunWaitValue>('RunWait').implement({
  description: 'What a run waits for.',
  fields: (t) => ({
    reason: t.expose('reason', { type: RunWaitReason, description: 'For programs.' }),
    message: t.exposeString('message', { description: 'For people.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When it goes on, as far as that is known now.',
    }),
  }),
});
