import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/**
 * The address that a request came from, for counting. Behind proxies it is what the outermost trusted one saw: each of them
 * appends to X-Forwarded-For, and what is further left the caller may have made up.
 */
export function callerAddress(request: IncomingMessage, trustedProxies: number): string {
  const forwarded = trustedProxies > 0 ? request.headers['x-forwarded-for'] : undefined;
  const told = typeof forwarded === 'string' ? forwarded.split(',').at(-trustedProxies)?.trim() : undefined;
  const address = (told && withoutPort(told)) || request.socket.remoteAddress || 'unknown';
  return isIPv6(address) && !address.includes('.') ? networkOf(address) : address.slice(0, 60);
}

/** Some proxies tell the port too, which is another one for each connection. */
function withoutPort(told: string): string {
  return told.replace(/^\[(.*)\](:\d+)?$|^([\d.]+):\d+$/, '$1$3');
}

/** A caller with IPv6 has a whole network of 64 bits to send from. */
function networkOf(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = tail === undefined ? [] : tail.split(':').filter((group) => group !== '');
  while (groups.length + rest.length < 8) groups.push('0');
  return [...groups, ...rest].slice(0, 4).join(':');
}
