import type { IncomingMessage } from 'node:http';

/** Where a token was found, in words for the caller. */
export interface GivenToken {
  authorization: string | undefined;
  place: string;
}

/**
 * The token of a WebSocket: in connectionParams.authorization (any case), in connectionParams.headers.authorization, or in the
 * Authorization header of the upgrade; the first that is there counts.
 */
export function tokenOf(
  connectionParams: Readonly<Record<string, unknown>> | undefined,
  request: IncomingMessage,
): GivenToken {
  const direct = findAuthorization(connectionParams);
  if (direct !== undefined) return { authorization: direct, place: 'connectionParams.authorization' };
  const nested = findAuthorization(connectionParams?.headers);
  if (nested !== undefined) return { authorization: nested, place: 'connectionParams.headers' };
  const { authorization } = request.headers;
  if (authorization !== undefined) return { authorization, place: 'the Authorization header' };
  return { authorization: undefined, place: '' };
}

/** A close reason of at most 123 bytes. */
export function forbiddenReason({ authorization, place }: GivenToken): string {
  return authorization === undefined
    ? 'Forbidden: send connectionParams {"authorization":"Bearer <token>"}.'
    : `Forbidden: no valid token in ${place}; send "Bearer <token>".`;
}

function findAuthorization(holder: unknown): string | undefined {
  if (typeof holder !== 'object' || holder === null) return undefined;
  for (const [name, value] of Object.entries(holder)) {
    if (name.toLowerCase() === 'authorization' && typeof value === 'string') return value;
  }
  return undefined;
}
