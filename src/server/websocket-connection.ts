import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Viewer } from '../context.ts';
import type { ExecutionSlots } from './execution-slots.ts';
import type { Session } from './sessions.ts';

/**
 * A WebSocket and all that is known of it: what ws makes, what graphql-ws speaks through, and what is closed with its token.
 * One object, because there are ten thousand of them.
 */
export class Connection extends WebSocket implements Session {
  readonly isSocket = true;
  /** Until it is known whose it is. */
  request: IncomingMessage | undefined;
  /** What the socket writes to. */
  stream!: Duplex;
  address = '';
  viewer: Viewer | undefined;
  /** Closes it unless it says whose it is. */
  initTimer: NodeJS.Timeout | undefined;
  /** Once something runs; most only watch. */
  slots: ExecutionSlots | undefined;
  /** Aborted when the socket closes; there once something runs. */
  left: AbortController | undefined;
  /** Of the message that is being taken. */
  messageBytes = 0;
  /** Takes a message; there when the protocol is ours. */
  receive: ((message: string) => Promise<void>) | undefined;
  /** Tells graphql-ws that the socket is closed. */
  closed!: (code: number, reason: string) => Promise<void>;
  /** Of the pings. */
  isAlive = true;
  pingRound = 0;

  get tokenId(): string {
    return this.viewer!.tokenId;
  }

  /** For graphql-ws. */
  onMessage(receive: (message: string) => Promise<void>): void {
    this.receive = receive;
  }

  revoke(): void {
    this.close(CloseCode.Forbidden, 'Forbidden: the token is no longer valid.');
  }
}
