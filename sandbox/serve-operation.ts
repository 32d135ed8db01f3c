import type { ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Call, CallLog } from './calls.ts';
import type { SandboxClock } from './clock.ts';
import type { Faults } from './faults.ts';
import { type SandboxReply, type SandboxRequest, sendReply } from './http.ts';

export interface OperationContext {
  calls: CallLog;
  faults: Faults;
  clock: SandboxClock;
  observe?: Observe | undefined;
}

/** One request, and what the partner says to it; nothing when a fault stands in its place. */
export interface Exchange {
  /** partner.operation, as in the call log. */
  operation: string;
  request: SandboxRequest;
  reply: SandboxReply | undefined;
}

/** Told of everything that passes. Must not throw. */
export type Observe = (exchange: Exchange) => void;

/** Answers one request as the partner would, or as the fault that meets it says, and writes it to the call log. */
export async function serveOperation(
  { calls, faults, clock, observe }: OperationContext,
  request: SandboxRequest,
  response: ServerResponse,
  operation: { name: string; details?: Partial<Call>; answer: () => SandboxReply },
): Promise<void> {
  const receivedAt = clock.now();
  const fault = faults.take(operation.name, operation.details?.page);
  const log = (status: number, reply?: SandboxReply) => {
    observe?.({ operation: operation.name, request, reply });
    calls.add({
      at: clock.now(),
      receivedAt,
      operation: operation.name,
      method: request.method,
      path: request.path,
      status,
      ...operation.details,
    });
  };
  if (fault?.delayMs) await wait(fault.delayMs, undefined, { ref: false });
  await fault?.hold?.();
  if (fault?.hang) return log(0);
  if (fault?.drop === 'before') {
    log(0);
    return void response.socket?.destroy();
  }
  if (fault?.reply) {
    const reply = {
      status: fault.reply.status,
      body: fault.reply.body ?? '',
      headers: fault.reply.headers ?? {},
    };
    log(reply.status);
    return sendReply(response, reply);
  }
  const reply = operation.answer();
  log(fault?.drop || fault?.hangAfter ? 0 : reply.status, reply);
  if (fault?.hangAfter) return;
  if (fault?.drop === 'after') return void response.socket?.destroy();
  if (fault?.drop === 'middle') {
    const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status, { 'content-length': String(Buffer.byteLength(text)) });
    response.write(text.slice(0, text.length / 2), () => response.socket?.destroy());
    return;
  }
  sendReply(response, reply);
}
