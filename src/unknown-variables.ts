import { diff } from 'node:util';

/** Nobody else's variables begin so in a process of ours. */
const PARTNERS = ['ITERABLE', 'MIXPANEL'];
/** Of the letters of a name so many may be others, and it still looks like ours. */
const TYPO_SHARE = 0.2;
/** So many, and it may still be what was meant by a name that looks like ours. */
const MEANT_SHARE = 0.4;
/** PORT and HOST are near to much. */
const SHORT = 4;

/**
 * A sentence for each variable of the environment that the service does not know and that looks like one of its own: a typo,
 * or a name from memory. Never a value. The machine may have variables of other programs, so most are passed over.
 */
export function findUnknownVariables(
  source: Record<string, string | undefined>,
  known: readonly string[],
): string[] {
  return Object.keys(source)
    .filter((name) => source[name] && !known.includes(name) && looksLikeOurs(name.toUpperCase(), known))
    .sort()
    .map((name) => {
      const meant = findMeant(name.toUpperCase(), known);
      const question = meant.length === 0 ? '' : ` Did you mean ${meant.join(' or ')}?`;
      return `${name} is not a setting of Cohort Sync.${question}`;
    });
}

function looksLikeOurs(name: string, known: readonly string[]): boolean {
  const words = name.split('_');
  const begin = words.slice(0, 2).join('_');
  return (
    (words.length > 1 && PARTNERS.includes(words[0]!)) ||
    // Names of three words and more have a family: DATABASE_POOL_…, RATE_LIMIT_….
    (words.length > 1 && known.some((one) => one.startsWith(`${begin}_`))) ||
    known.some((one) => one.length > SHORT && countEdits(name, one) <= Math.max(2, one.length * TYPO_SHARE))
  );
}

/** What the name is the beginning of; else the nearest ones, if there are any near. */
function findMeant(name: string, known: readonly string[]): string[] {
  const longer = known.filter((one) => one.startsWith(`${name}_`));
  if (longer.length > 0) return longer;
  const edits = new Map(known.map((one) => [one, countEdits(name, one)]));
  const fewest = Math.min(...edits.values());
  return fewest <= name.length * MEANT_SHARE ? known.filter((one) => edits.get(one) === fewest) : [];
}

/** Letters to be taken out or put in. */
function countEdits(name: string, other: string): number {
  return diff(name, other).filter(([operation]) => operation !== 0).length;
}
