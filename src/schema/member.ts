import {
  readEventExport,
  readMember,
  readMemberHistory,
  readMemberLists,
  readRunOf,
  sealMemberKey,
} from '../resolvers/member.ts';
import { builder, READ } from './builder.ts';
import { COSTS, listsOfPerson, pageInMemory } from './costs.ts';
import { MemberOutcome, RejectionReason } from './enums.ts';
import { encodeId, rowIdDescription } from './global-id.ts';
import { pageArgs } from './page-args.ts';
import { Export, Member, MemberEvent, MemberEventConnection, SyncRun } from './refs.ts';
import { personKeyRule } from './rules.ts';

builder.node(Member, {
  description:
    "One person's story, over all lists and runs of the project. Its id tells nothing of the person, and stays the same until ENCRYPTION_KEY changes; by e-mail, userId and distinctId there is a story, and an id, each.",
  id: { resolve: (member, _args, ctx) => `${ctx.viewer.project.id}:${sealMemberKey(ctx, member)}` },
  fields: (t) => ({
    email: t.exposeString('email', {
      nullable: true,
      description: 'In lower case; as last known. Null when none is known.',
    }),
    userId: t.exposeString('userId', {
      nullable: true,
      description: 'In Iterable; as last known. Null when none is known.',
    }),
    distinctIds: t.exposeStringList('distinctIds', {
      description:
        'In Mixpanel: by which they are on lists or rejected now, else those of their history. Empty for people who were only found on a list.',
    }),
    lists: t.field({
      complexity: listsOfPerson,
      type: [Export],
      description: 'The exports on whose list they are now, the newest export first.',
      resolve: (story, _args, ctx) => readMemberLists(ctx, story),
    }),
    history: t.field({
      type: MemberEventConnection,
      complexity: pageInMemory,
      description:
        'What runs did with them and what Iterable told of them (its newest thousand events), newest first, as long as either is kept. Runs that left them as they were are not listed.',
      args: pageArgs(t.arg),
      resolve: (story, args) => readMemberHistory(story, args),
    }),
  }),
});

MemberEvent.implement({
  description: 'One thing that happened to a person.',
  fields: (t) => ({
    // Without the time, which is told more exactly once Iterable has answered.
    id: t.id({
      description: rowIdDescription,
      resolve: ({ key }) => encodeId('MemberEvent', key.slice(1).join('-')),
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When; of a rejection: when it was first found.' }),
    run: t.field({
      type: SyncRun,
      nullable: true,
      description:
        'The run that did it; of a rejection: the first that found it. Null for events of Iterable.',
      resolve: (event, _args, ctx) => readRunOf(ctx, event),
    }),
    export: t.field({
      type: Export,
      nullable: true,
      description: 'The export that the run belongs to; null for events of Iterable.',
      resolve: (event, _args, ctx) => readEventExport(ctx, event),
    }),
    outcome: t.expose('outcome', {
      type: MemberOutcome,
      nullable: true,
      description:
        'What the run did; UNCHANGED when only their profile was sent again. Null for events of Iterable.',
    }),
    reason: t.expose('reason', {
      type: RejectionReason,
      nullable: true,
      description: 'Why they were rejected; null otherwise.',
    }),
    messagingEvent: t.exposeString('messagingEvent', {
      nullable: true,
      description:
        "Iterable's name of the event, when it is one that Iterable told of; then there is no run.",
    }),
    detail: t.exposeString('detail', { nullable: true, description: 'More, for people.' }),
  }),
});

builder.queryField('member', (t) =>
  t.field({
    complexity: COSTS.person,
    type: Member,
    nullable: true,
    authScopes: READ,
    description:
      'One person by one of the three: BAD_USER_INPUT when none or several are given, null when nobody is known by it. An address that they had before has a story of its own; distinctId tells both.',
    args: {
      email: t.arg.string({ description: 'Whatever its case.', validate: { schema: personKeyRule } }),
      userId: t.arg.string({ description: 'In Iterable.', validate: { schema: personKeyRule } }),
      distinctId: t.arg.string({ description: 'In Mixpanel.', validate: { schema: personKeyRule } }),
    },
    resolve: (_root, args, ctx) => readMember(ctx, args),
  }),
);
