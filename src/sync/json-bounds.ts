export interface JsonBounds {
  maxNodes: number;
  /** An array or object within none is 1 deep. */
  maxDepth: number;
}

const code = (character: string) => character.charCodeAt(0);
const [QUOTE, BACKSLASH, COMMA] = [code('"'), code('\\'), code(',')];
const [OPEN_ARRAY, CLOSE_ARRAY] = [code('['), code(']')];
const [OPEN_OBJECT, CLOSE_OBJECT] = [code('{'), code('}')];

/**
 * What is wrong with the JSON before anything is made of it: built, six megabytes of `{}` take more memory than the process has.
 * Undefined within the bounds. What is no JSON has as many nodes as JSON.parse would make before it finds that out.
 */
export function exceedsBounds(
  bytes: Uint8Array,
  { maxNodes, maxDepth }: JsonBounds,
): 'NODES' | 'DEPTH' | undefined {
  let nodes = 0;
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > maxDepth) return 'DEPTH';
        if (++nodes > maxNodes) return 'NODES';
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
        break;
      case COMMA:
        if (++nodes > maxNodes) return 'NODES';
    }
  }
  return undefined;
}
