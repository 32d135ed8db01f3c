import type { Random } from '../random.ts';
import type { SampleCampaign } from './sample-campaigns.ts';

/** One message to one person, of which several events may tell. */
export interface SampleMessage {
  campaign: SampleCampaign;
  messageId: string;
  /** undefined where the person has no e-mail address. */
  address: string | undefined;
}

type Fields = Record<string, unknown>;
type MakeFields = (message: SampleMessage, random: Random) => Fields;

const SKIP_REASONS = ['DuplicateMarketingMessage', 'FrequencyCapping', 'QuietHoursSendSkip', 'EmptyContent'];
const USER_AGENT = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15';

export const pick = <Item>(items: readonly Item[], random: Random): Item =>
  items[Math.floor(random() * items.length)]!;

const isTriggered = ({ campaign }: SampleMessage) => campaign.workflowId !== null;
const emailId = ({ campaign, address }: SampleMessage) =>
  `c${campaign.campaignId}:t${campaign.templateId}:${address}`;
/** An address from the range for documentation. */
const ip = (random: Random) => `198.51.100.${1 + Math.floor(random() * 254)}`;

const ofCampaign: MakeFields = ({ campaign, messageId }) => {
  const { medium: _medium, text: _text, ...fields } = campaign;
  return { ...fields, messageId };
};

/** Examples of some events have no messageId. */
const withoutMessage: MakeFields = (message, random) => {
  const { messageId: _messageId, ...fields } = ofCampaign(message, random);
  return fields;
};

const ofEmail: MakeFields = (message, random) => ({
  ...ofCampaign(message, random),
  emailSubject: message.campaign.text,
  emailId: emailId(message),
});

const skipped: MakeFields = ({ campaign, messageId }, random) => ({
  campaignId: campaign.campaignId,
  messageId,
  reason: pick(SKIP_REASONS, random),
});

const reader: MakeFields = (_message, random) => ({
  userAgent: USER_AGENT,
  userAgentDevice: pick(['Mobile', 'Desktop', 'Gmail'], random),
  ip: ip(random),
});

const link: MakeFields = (_message, random) => ({
  url: `https://shop.example.com/items/${Math.floor(random() * 1000)}?utm_source=iterable`,
  city: pick(['Berlin', 'São Paulo', 'Ōsaka'], random),
  region: 'XX',
});

const ofPush: MakeFields = ({ campaign }) => ({
  pushMessage: campaign.text,
  payload: { path: '/items', extra: { isSilent: false } },
  sound: '',
  badge: null,
  contentAvailable: false,
  deeplink: { ios: null, android: 'shop://items' },
});

const ofSms: MakeFields = (message) => ({
  smsMessage: message.campaign.text,
  fromPhoneNumberId: 268,
  imageUrl: null,
  emailId: emailId(message),
});

const subscriptions: MakeFields = () => ({ emailListIds: [], channelIds: [], messageTypeIds: [] });

/** The data fields of each event, beside email and createdAt, as Iterable's examples have them. */
export const FIELDS = {
  emailSend: (message, random) => ({
    ...ofEmail(message, random),
    contentId: 331_201,
    ...(isTriggered(message) ? { transactionalData: makeOrder(random) } : {}),
  }),
  emailSendSkip: skipped,
  emailBounce: (message, random) => ({ ...ofEmail(message, random), recipientState: 'HardBounce' }),
  emailComplaint: (message, random) => ({ ...ofEmail(message, random), recipientState: 'Complaint' }),
  emailOpen: (message, random) => ({
    ...ofEmail(message, random),
    ...reader(message, random),
    proxySource: null,
    device: 'Mobile',
  }),
  emailClick: (message, random) => ({
    ...ofEmail(message, random),
    ...reader(message, random),
    ...link(message, random),
    linkUrl: 'https://shop.example.com/items',
    linkId: '3f2a',
    canonicalUrlId: '3f2a',
    hrefIndex: 0,
    isBot: false,
  }),
  hostedUnsubscribeClick: (message, random) => ({
    ...ofEmail(message, random),
    ...reader(message, random),
    ...link(message, random),
    country: 'DE',
  }),
  emailSubscribe: (message, random) => ({ signupSource: 'WebForm', ...subscriptions(message, random) }),
  emailUnSubscribe: (message, random) => ({
    ...ofEmail(message, random),
    unsubSource: 'EmailLink',
    ...subscriptions(message, random),
    channelIds: [message.campaign.channelId],
  }),
  pushSend: (message, random) => ({
    ...ofCampaign(message, random),
    ...ofPush(message, random),
    platformEndpoint: 'arn:aws:sns:us-east-1:000000000000:endpoint/APNS/shop/5d45',
    contentId: 331_202,
  }),
  pushSendSkip: skipped,
  pushBounce: (message, random) => ({
    ...withoutMessage(message, random),
    ...ofPush(message, random),
    platformEndpoint: 'arn:aws:sns:us-east-1:000000000000:endpoint/APNS/shop/5d45',
  }),
  pushOpen: (message, random) => ({
    ...withoutMessage(message, random),
    ...ofPush(message, random),
    appAlreadyRunning: random() < 0.5,
  }),
  pushUninstall: (message, random) => ({
    ...ofCampaign(message, random),
    ...ofPush(message, random),
    isGhostPush: true,
  }),
  smsSend: (message, random) => ({
    ...ofCampaign(message, random),
    ...ofSms(message, random),
    toPhoneNumber: '+15005550006',
    fromSMSSenderId: 456,
    contentId: 331_203,
  }),
  smsSendSkip: skipped,
  smsBounce: (message, random) => ({
    ...withoutMessage(message, random),
    ...ofSms(message, random),
    smsProviderResponse: { status: 404, message: 'Not found', code: 20404, more_info: 'errors/20404' },
  }),
  smsClick: (message, random) => ({
    ...ofCampaign(message, random),
    ...ofSms(message, random),
    clickedUrl: 'https://shop.example.com/parcel',
  }),
  smsReceived: () => ({
    fromPhoneNumber: '+15005550006',
    toPhoneNumber: '+15005550001',
    smsMessage: 'Danke!',
  }),
  inAppSend: (message, random) => ({
    ...ofCampaign(message, random),
    emailId: emailId(message),
    contentId: 331_204,
    inAppBody: `<p>${message.campaign.text}</p>`,
    expiresAt: null,
    messageContext: { saveToInbox: false, trigger: { type: 'immediate' } },
  }),
  inAppOpen: ofCampaign,
  inAppClick: (message, random) => ({ ...ofCampaign(message, random), clickedUrl: 'itbl://dismiss' }),
  webPushSend: (message, random) => ({
    ...ofCampaign(message, random),
    browserToken: 'dY2xk3',
    contentId: 331_205,
    emailId: emailId(message),
    webPushMessage: message.campaign.text,
    webPushBody: null,
    webPushIcon: null,
    webPushClickAction: 'https://shop.example.com',
  }),
  webPushSendSkip: skipped,
  webPushClick: ofCampaign,
} as const satisfies Record<string, MakeFields>;

export type SampleEventName = keyof typeof FIELDS;

/** Deeper than Mixpanel takes, as what campaigns are triggered with often is. */
function makeOrder(random: Random): Fields {
  const items = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, index) => ({
    sku: `sku-${index}`,
    price: { amount: Math.floor(random() * 10_000) / 100, currency: 'EUR' },
  }));
  return { order: { id: Math.floor(random() * 1_000_000), items, coupon: null } };
}
