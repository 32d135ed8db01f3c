import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { WebhookEvent } from '../../sandbox/iterable/send-events.ts';

export interface ReceivedEvent {
  headers: IncomingHttpHeaders;
  event: WebhookEvent;
}

export interface EventReceiver extends AsyncDisposable {
  url: string;
  received: ReceivedEvent[];
  /** The most requests that were open at a time. */
  mostOpen: number;
  /** Resolves once so many requests have come. */
  until(count: number): Promise<void>;
}

/** Stands where Iterable's system webhook would call. answer says with which status, or never, for the request of that number. */
export async function startEventReceiver(
  answer: (nth: number) => number | Promise<number> = () => 200,
): Promise<EventReceiver> {
  let open = 0;
  let waiting: { count: number; resolve: () => void }[] = [];
  const server = createServer(async (incoming, response) => {
    receiver.mostOpen = Math.max(receiver.mostOpen, ++open);
    const event = JSON.parse(await text(incoming)) as WebhookEvent;
    const nth = receiver.received.push({ headers: incoming.headers, event });
    waiting = waiting.filter(({ count, resolve }) => {
      if (nth >= count) resolve();
      return nth < count;
    });
    const status = await answer(nth);
    open--;
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: EventReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/iterable`,
    received: [],
    mostOpen: 0,
    until: (count) =>
      new Promise((resolve) => {
        if (receiver.received.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}
