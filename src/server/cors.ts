import type { IncomingMessage, ServerResponse } from 'node:http';

export interface Cors {
  /** Says to a page of a known origin that it may read the answer. Answers preflights, and returns true then. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** Whether a WebSocket may be opened: by whatever is no page, a page of our own, and pages of known origins. */
  mayConnect(request: IncomingMessage): boolean;
}

const PREFLIGHT_SECONDS = 7_200;
const EXPOSED = 'retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, www-authenticate';
/** Whatever a client sends of its own; longer lists are nobody's. */
const MAX_REQUESTED_HEADERS = 1_000;

/** Which pages of other origins may call us from a browser. Tokens travel in a header, so no credentials are allowed. */
export function createCors(options: { origins: readonly string[]; publicUrl: string | undefined }): Cors {
  const origins = new Set(options.origins);
  const ownOrigin = options.publicUrl === undefined ? undefined : new URL(options.publicUrl).origin;
  const isKnown = (origin: string) => origins.has('*') || origins.has(origin) || origin === ownOrigin;

  return {
    handle(request, response) {
      const { origin } = request.headers;
      // Else a cache would give one origin's answer to another.
      if (origins.size > 0) response.setHeader('vary', 'Origin');
      const isPreflight =
        request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
      if (origin !== undefined && isKnown(origin)) {
        response.setHeader('access-control-allow-origin', origins.has('*') ? '*' : origin);
        response.setHeader('access-control-expose-headers', EXPOSED);
        if (isPreflight) {
          const requested = request.headers['access-control-request-headers'] ?? '';
          response.setHeader('access-control-allow-methods', 'GET, POST, OPTIONS');
          if (requested !== '' && requested.length <= MAX_REQUESTED_HEADERS)
            response.setHeader('access-control-allow-headers', requested);
          response.setHeader('access-control-max-age', String(PREFLIGHT_SECONDS));
        }
      }
      if (!isPreflight) return false;
      response.writeHead(204).end();
      return true;
    },
    mayConnect({ headers }) {
      const { origin, host } = headers;
      if (origin === undefined || isKnown(origin)) return true;
      return URL.canParse(origin) && new URL(origin).host === host;
    },
  };
}
