import { brokenHost, drippedBodies, resetUpgrades } from './connections.ts';
import { manyWhatIfs, nestedPages, repeatedIntrospection } from './costs.ts';
import { largeDocuments, manyOperations } from './documents.ts';
import { emptyObjects } from './events.ts';
import { pipelinedPages, unreadPages } from './pages.ts';
import { pipelinedReady, pipelinedWrongTokens } from './pipelines.ts';
import { manySockets, manySubscriptions } from './subscriptions.ts';
import type { Target, Told } from './target.ts';
import { socketOfOperations, unreadAnswers } from './unread.ts';
import { forbiddenUpload } from './uploads.ts';

export interface Attack {
  title: string;
  run: (target: Target) => Promise<Told>;
  /** Something it must not be told, beside a service that lives. */
  mustNotBeTold?: RegExp;
}

/** Each in full size. */
export const attacks: Record<string, Attack> = {
  resetUpgrades: { title: '1,000 upgrades, reset at once', run: resetUpgrades },
  unreadPages: { title: '30 sockets that do not read the page', run: unreadPages },
  pipelinedPages: { title: '300 pages, pipelined', run: pipelinedPages },
  pipelinedReady: { title: '20,000 × GET /ready, pipelined', run: pipelinedReady },
  pipelinedWrongTokens: { title: '20,000 wrong tokens, pipelined', run: pipelinedWrongTokens },
  largeDocuments: { title: '250 documents of 0.9 MB', run: largeDocuments },
  manyOperations: { title: '91 documents of 1,600 operations', run: manyOperations },
  unreadAnswers: { title: '150 sockets × 4.8 MB unread', run: unreadAnswers },
  socketOfOperations: { title: '1,500 operations on a WebSocket, unread', run: socketOfOperations },
  manySubscriptions: { title: '20,000 subscriptions on a WebSocket', run: manySubscriptions },
  manySockets: { title: '1,500 WebSockets of one token', run: manySockets },
  emptyObjects: { title: 'an event of 6 MB of {}', run: emptyObjects, mustNotBeTold: /^200/ },
  nestedPages: { title: 'pages in pages in pages, six at a time', run: nestedPages },
  manyWhatIfs: { title: '450 × whatIf, ten at a time', run: manyWhatIfs },
  repeatedIntrospection: { title: '200 × introspection, four at a time', run: repeatedIntrospection },
  forbiddenUpload: { title: 'an upload of a CONSUMER', run: forbiddenUpload, mustNotBeTold: /no answer/ },
  drippedBodies: { title: 'a byte a second on 200 sockets', run: drippedBodies, mustNotBeTold: /still open/ },
  brokenHost: { title: 'Host: [::', run: brokenHost, mustNotBeTold: /^5|stack/ },
};
