/** Nobody reads more of a cohort's description, and each page of cohorts carries it. */
export const MAX_DESCRIPTION_LENGTH = 2_000;

/** At most so many UTF-16 units, the last of them an ellipsis where something is left out. Never half a character. */
export function shorten(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
