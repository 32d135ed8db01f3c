import type { z } from 'zod';
import type { Call, CallLog } from '../calls.ts';
import type { SandboxClock } from '../clock.ts';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import type { IterableProject } from './project.ts';
import { type Asked, type Read, readBody, readParams } from './read-input.ts';
import type { EventSender } from './send-events.ts';

export interface Answering<Input> {
  project: IterableProject;
  input: Input;
  request: SandboxRequest;
  clock: SandboxClock;
  calls: CallLog;
  /** Of the webhook. */
  sender: EventSender;
}

export interface Limit {
  count: number;
  windowMs: number;
}

interface Given<Schema extends z.ZodType> {
  /** In the call log and for faults, after "iterable.". */
  name: string;
  method: 'GET' | 'POST' | 'DELETE';
  /** With places in braces. */
  path: string;
  /** Requests of a project; what cannot be read costs none. */
  limits?: Limit[];
  /** What the body is; or what the query and the places of the path are; or neither. */
  body?: Schema;
  params?: Schema;
  /** For the call log. */
  details?(input: z.output<Schema>): Partial<Call>;
  answer(given: Answering<z.output<Schema>>): SandboxReply;
}

/** One operation of Iterable's API. Whatever is not a GET writes. */
export interface Route extends Pick<Given<z.ZodType>, 'name' | 'method' | 'path'> {
  limits: Limit[];
  read(asked: Asked): Read<unknown>;
  details(input: unknown): Partial<Call>;
  answer(given: Answering<unknown>): SandboxReply;
}

export function route<Schema extends z.ZodType = z.ZodUndefined>(given: Given<Schema>): Route {
  const { name, method, path, limits = [], body, params, details, answer } = given;
  return {
    name,
    method,
    path,
    limits,
    read(asked) {
      if (body) return readBody(body, asked);
      return params ? readParams(params, asked) : { input: undefined };
    },
    details: (input) => details?.(input as z.output<Schema>) ?? {},
    answer: (answering) => answer(answering as Answering<z.output<Schema>>),
  };
}

export function perSecond(count: number): Limit[] {
  return [{ count, windowMs: 1_000 }];
}

export interface RouteMatch extends Asked {
  route: Route;
}

/** Finds the route of a request; one without places goes before one with them. */
export function createRouter(routes: readonly Route[]): (request: SandboxRequest) => RouteMatch | undefined {
  const patterns = routes
    .map((one) => ({
      one,
      pattern: new RegExp(`^${one.path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
    }))
    .sort((a, b) => Number(a.one.path.includes('{')) - Number(b.one.path.includes('{')));
  return (request) => {
    for (const { one, pattern } of patterns) {
      const match = one.method === request.method ? pattern.exec(request.path) : null;
      if (!match) continue;
      const places = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decode(value)]);
      return { route: one, request, places: Object.fromEntries(places) };
    }
    return undefined;
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
