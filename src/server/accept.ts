/**
 * How much a client wants what has this name, from 0 to 1, by its Accept or Accept-Encoding header (RFC 9110, 12.4).
 * Wildcards count only where the name asked for is one.
 */
export function qualityOf(header: string | undefined, name: string): number {
  for (const item of header?.split(',') ?? []) {
    const [given, ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    if (given !== name) continue;
    const weight = parameters.find((parameter) => /^q\s*=/.test(parameter))?.split('=')[1];
    const quality = weight === undefined ? 1 : Number(weight);
    return quality >= 0 && quality <= 1 ? quality : 0;
  }
  return 0;
}
