/** When the sample's campaigns and channels were made. */
export const SAMPLE_CREATED_AT = Date.parse('2026-01-05T09:30:00Z');

export type Medium = 'email' | 'push' | 'sms' | 'inApp' | 'webPush';

export interface SampleCampaign {
  medium: Medium;
  campaignId: number;
  campaignName: string;
  templateId: number;
  templateName: string;
  channelId: number;
  messageTypeId: number;
  /** Set when a journey sends it. */
  workflowId: number | null;
  workflowName: string | null;
  experimentId: number | null;
  locale: string | null;
  labels: string[];
  /** Subject of an e-mail, or the text itself. */
  text: string;
}

const campaign = (
  medium: Medium,
  number: number,
  campaignName: string,
  text: string,
  more: Partial<SampleCampaign> = {},
): SampleCampaign => ({
  medium,
  campaignId: 721_000 + number,
  campaignName,
  templateId: 953_000 + number,
  templateName: `${campaignName} (template)`,
  channelId: 21_000 + medium.length,
  messageTypeId: 23_000 + medium.length,
  workflowId: null,
  workflowName: null,
  experimentId: null,
  locale: null,
  labels: [],
  text,
  ...more,
});

/** What the people of the sample are sent. */
export const SAMPLE_CAMPAIGNS: readonly SampleCampaign[] = [
  campaign('email', 1, 'Autumn newsletter', 'What is new this autumn', { labels: ['newsletter', '2026'] }),
  campaign('email', 2, 'Order confirmation', 'Your order is on its way', {
    workflowId: 60_102,
    workflowName: 'Orders',
  }),
  campaign('email', 3, 'Willkommen', 'Schön, dass Sie da sind – los geht’s', {
    workflowId: 60_103,
    workflowName: 'Onboarding',
    locale: 'de-DE',
  }),
  campaign('email', 4, 'Trial ends: subject test', 'Three days left', { experimentId: 8_812 }),
  campaign('push', 5, 'Back in stock', 'It is back. While it lasts'),
  campaign('sms', 6, 'Delivery today', 'Your parcel comes between 2 and 4 pm', {
    workflowId: 60_102,
    workflowName: 'Orders',
  }),
  campaign('inApp', 7, 'Product tour', 'Shall we show you around?'),
  campaign('webPush', 8, 'Weekend sale', 'Twenty per cent off until Sunday', { labels: ['sale'] }),
];
