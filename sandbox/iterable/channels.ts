import { ok } from './answers.ts';
import { perSecond, route } from './route.ts';
import { type Medium, SAMPLE_CAMPAIGNS } from './sample-campaigns.ts';

/** The API knows no other media. */
const MEDIA: Partial<Record<Medium, string>> = { email: 'Email', push: 'Push', sms: 'SMS' };
const CREATED_AT = Date.parse('2026-01-05T09:30:00Z');

/** Those of the sample's campaigns. */
const CHANNELS = new Map(
  SAMPLE_CAMPAIGNS.flatMap(({ medium, channelId, messageTypeId }) =>
    MEDIA[medium] === undefined
      ? []
      : [[channelId, { messageTypeId, messageMedium: MEDIA[medium] }] as const],
  ),
);

/** What a project sends with, and what its profiles hold. */
export const channelRoutes = [
  route({
    name: 'listChannels',
    method: 'GET',
    path: '/api/channels',
    limits: perSecond(100),
    answer: () =>
      ok({
        channels: [...CHANNELS].map(([id, { messageMedium }]) => ({
          id,
          name: `${messageMedium} Marketing Channel`,
          channelType: 'Marketing',
          messageMedium,
        })),
      }),
  }),
  route({
    name: 'listMessageTypes',
    method: 'GET',
    path: '/api/messageTypes',
    limits: perSecond(100),
    answer: () =>
      ok({
        messageTypes: [...CHANNELS].map(([channelId, { messageTypeId, messageMedium }]) => ({
          id: messageTypeId,
          name: `${messageMedium} Marketing Message`,
          channelId,
          subscriptionPolicy: 'OptOut',
          createdAt: CREATED_AT,
          updatedAt: CREATED_AT,
        })),
      }),
  }),
  route({
    name: 'getFields',
    method: 'GET',
    path: '/api/users/getFields',
    limits: perSecond(3),
    answer: ({ project }) => ok({ fields: Object.fromEntries(project.fields.types) }),
  }),
];
