/** Events of Iterable that make nobody a monthly tracked user, by their exact names (Mixpanel docs, Iterable integration). */
export const EXEMPT_EVENTS: readonly string[] = [
  'emailSend',
  'emailBounce',
  'emailComplaint',
  'emailSendSkip',
  'emailSubscribe',
  'emailUnSubscribe',
  'hostedUnsubscribeClick',
  'inAppSend',
  'inAppSendSkip',
  'pushBounce',
  'pushSend',
  'pushSendSkip',
  'smsBounce',
  'smsReceived',
  'smsSend',
  'smsSendSkip',
  'webPushSendSkip',
];

const exempt: ReadonlySet<string> = new Set(EXEMPT_EVENTS);

export function isExempt(event: string): boolean {
  return exempt.has(event);
}
