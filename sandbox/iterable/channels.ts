import { ok } from './answers.ts';
import { perSecond, route } from './route.ts';
import { type Medium, SAMPLE_CAMPAIGNS, SAMPLE_CREATED_AT } from './sample-campaigns.ts';

/** The API knows no other media. */
const MEDIA: Partial<Record<Medium, string>> = { email: 'Email', push: 'Push', sms: 'SMS' };

/** Those of the sample's campaigns. */
const CHANNELS = new Map(
  SAMPLE_CAMPAIGNS.flatMap(({ medium, channelId, messageTypeId }) =>
    MEDIA[medium] === undefined
      ? []
      : [[channelId, { messageTypeId, messageMedium: MEDIA[medium] }] as const],
  ),
);

/** What a project sends with. */
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
          createdAt: SAMPLE_CREATED_AT,
          updatedAt: SAMPLE_CREATED_AT,
        })),
      }),
  }),
];
