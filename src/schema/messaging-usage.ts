import type { CampaignUsers } from '../../db/queries/messaging-usage.ts';
import type { EventUsage, Usage, WhatIf } from '../events/usage.ts';
import {
  presentUsage,
  readCampaignUsers,
  readMessagingUsage,
  readWhatIf,
  type UsageOf,
  watchMessagingUsage,
} from '../resolvers/messaging-usage.ts';
import { builder, READ } from './builder.ts';
import { COSTS } from './costs.ts';
import { eventNameRule, monthRule } from './rules.ts';

const MessagingEventUsage = builder.objectRef<EventUsage>('MessagingEventUsage').implement({
  description: 'Events of one name in a month, without those that were rejected.',
  fields: (t) => ({
    event: t.exposeString('event', { description: "Iterable's name of the event." }),
    exempt: t.exposeBoolean('exempt', {
      description: 'Whether Mixpanel makes nobody a monthly tracked user for it (by its exact name).',
    }),
    events: t.exposeInt('events', { description: 'How many.' }),
    users: t.exposeInt('users', { description: 'Different people who have any.' }),
  }),
});

const MessagingCampaignUsage = builder.objectRef<CampaignUsers>('MessagingCampaignUsage').implement({
  description: 'People who count in a month and whose first event that counts was of this campaign.',
  fields: (t) => ({
    campaignId: t.exposeString('campaignId', {
      nullable: true,
      description: "Iterable's id; null for events of no campaign.",
    }),
    campaignName: t.exposeString('campaignName', { nullable: true, description: 'As the events tell it.' }),
    users: t.exposeInt('users', { description: 'How many people.' }),
  }),
});

const MessagingWhatIf = builder.objectRef<WhatIf>('MessagingWhatIf').implement({
  description: 'What a month would be if the events of one name were taken otherwise.',
  fields: (t) => ({
    event: t.exposeString('event', { description: "Iterable's name of the event." }),
    exempt: t.exposeBoolean('exempt', {
      description:
        'Whether it is exempt. The question is then: what if it counted; of one that counts: what if it were not sent to Mixpanel.',
    }),
    users: t.exposeInt('users', { description: 'People of the month who have any.' }),
    countedUsers: t.exposeInt('countedUsers', { description: 'How many people would count.' }),
    difference: t.exposeInt('difference', {
      description: 'To MessagingUsage.countedUsers: more when positive, fewer when negative.',
    }),
  }),
});

const MessagingUsage = builder.objectRef<Usage>('MessagingUsage');

builder.node(MessagingUsage, {
  description:
    "Iterable's events of a month on their way to Mixpanel, and the people whom they make monthly tracked users there: at most so many, because other events may do it anyway. eventsReceived = eventsImported + eventsRejected + eventsPending; exemptEvents + countedEvents = eventsReceived - eventsRejected.",
  id: { resolve: ({ month }, _args, ctx) => `${ctx.viewer.project.id}:${month}` },
  fields: (t) => ({
    month: t.exposeString('month', { description: "YYYY-MM: the UTC month of the events' own time." }),
    eventsReceived: t.exposeInt('eventsReceived', {
      description: 'Different events, without repeats and echoes.',
    }),
    eventsImported: t.exposeInt('eventsImported', { description: 'Of them, those that Mixpanel has taken.' }),
    eventsRejected: t.exposeInt('eventsRejected', {
      description: 'Of them, those that Mixpanel will not have: refused by it, or named nobody.',
    }),
    eventsPending: t.exposeInt('eventsPending', {
      description: 'Of them, those that wait: a moment, or until Mixpanel is connected and takes them.',
    }),
    repeatsDropped: t.exposeInt('repeatsDropped', {
      description: 'Events that Iterable sent once more; in the month of their own time.',
    }),
    echoesDropped: t.exposeInt('echoesDropped', {
      description: 'Our own changes of lists that Iterable told us of; in the month of their own time.',
    }),
    exemptEvents: t.exposeInt('exemptEvents', { description: 'Of those not rejected: exempt ones.' }),
    countedEvents: t.exposeInt('countedEvents', { description: 'Of those not rejected: all others.' }),
    countedUsers: t.exposeInt('countedUsers', {
      description:
        'People with at least one event that counts. A person is a distinct_id. Of months that were more than a year ago when their events came, people are not counted.',
    }),
    exemptOnlyUsers: t.exposeInt('exemptOnlyUsers', {
      description: 'People with exempt events only: they cost nothing.',
    }),
    byEvent: t.expose('byEvent', { type: [MessagingEventUsage], description: 'The most frequent first.' }),
    byCampaign: t.field({
      complexity: { field: COSTS.peopleOfMonth, multiplier: 1 },
      type: [MessagingCampaignUsage],
      description:
        "Who became a monthly tracked user by Iterable's events, by the campaign of their first event of the month that counts; adds up to countedUsers, but is read a moment later. Empty for months more than a year ago.",
      resolve: (usage, _args, ctx) => readCampaignUsers(ctx, usage),
    }),
    whatIf: t.field({
      complexity: COSTS.peopleOfMonth,
      type: MessagingWhatIf,
      description:
        'What if the events of this name counted, when they are exempt; or were left out, when they count. For the last twelve months.',
      args: {
        event: t.arg.string({
          required: true,
          description: "Iterable's name of the event.",
          validate: { schema: eventNameRule },
        }),
      },
      resolve: (usage, { event }, ctx) => readWhatIf(ctx, usage, event),
    }),
  }),
});

builder.queryField('messagingUsage', (t) =>
  t.field({
    complexity: COSTS.month,
    type: MessagingUsage,
    nullable: true,
    authScopes: READ,
    description:
      'Iterable events written back to Mixpanel, and what they do to the MTU bill; of everything that has come in by now, unless that takes more than five seconds to file. BAD_USER_INPUT when month is not YYYY-MM.',
    args: {
      month: t.arg.string({
        required: true,
        description: 'YYYY-MM, UTC.',
        validate: { schema: monthRule },
      }),
    },
    resolve: (_root, { month }, ctx) => readMessagingUsage(ctx, month),
  }),
);

builder.subscriptionField('messagingUsageUpdated', (t) =>
  t.field({
    type: MessagingUsage,
    authScopes: READ,
    description:
      'The usage of a month now, then after changes: at most one value a second, the newest always.',
    args: {
      month: t.arg.string({
        description: 'YYYY-MM, UTC; unless given, the month in which the subscription begins.',
        validate: { schema: monthRule },
      }),
    },
    subscribe: (_root, { month }, ctx) => watchMessagingUsage(ctx, month ?? undefined),
    resolve: (usage: UsageOf) => presentUsage(usage),
  }),
);
