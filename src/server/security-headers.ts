import type { ServerResponse } from 'node:http';

/** For every answer. */
const EVERYWHERE = {
  'x-content-type-options': 'nosniff',
  // Addresses of ours hold keys of webhooks, and queries.
  'referrer-policy': 'no-referrer',
};

/** Sets what every answer of the API carries: it is no page, nobody frames it, nobody keeps it. */
export function setApiHeaders(response: ServerResponse): void {
  for (const [name, value] of Object.entries(EVERYWHERE)) response.setHeader(name, value);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
}

/** The headers of a page, which may load only what `sources` names: directives of its Content-Security-Policy. */
export function pageHeaders(sources: Record<string, string>): Record<string, string> {
  const directives = Object.entries({
    'default-src': "'none'",
    ...sources,
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
  });
  return {
    ...EVERYWHERE,
    'content-security-policy': directives.map((directive) => directive.join(' ')).join('; '),
  };
}
