import type { MessagingEvent } from './read-event.ts';

/** Who changed the list, as Iterable says of changes by its lists API. */
const LIST_API = 'ListAPI';

/** True for Iterable's word of a change that a sync of ours made: one by its lists API, of lists that are all ours. */
export function isEcho(
  event: Pick<MessagingEvent, 'name' | 'dataFields'>,
  ourLists: ReadonlySet<string>,
): boolean {
  const { signupSource, unsubSource, emailListIds, userListIds } = event.dataFields;
  const isSubscribe = event.name === 'emailSubscribe';
  if (!isSubscribe && event.name !== 'emailUnSubscribe') return false;
  const source = isSubscribe ? signupSource : unsubSource;
  if (source !== LIST_API) return false;
  const named = [emailListIds, userListIds].flatMap((ids) => (Array.isArray(ids) ? ids : []));
  return named.length > 0 && named.every((id) => ourLists.has(String(id)));
}
