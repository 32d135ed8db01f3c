/**
 * Words that programs write where nobody is meant, in lower case. The first lines are Mixpanel's own list of distinct_ids that it
 * takes for nobody (API reference, import events); a userId of 0 or true falls under it too, for Mixpanel would not take it back.
 */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  '00000000-0000-0000-0000-000000000000',
  'anon',
  'anonymous',
  'nil',
  'none',
  'null',
  'n/a',
  'na',
  'undefined',
  'unknown',
  '<nil>',
  '0',
  '-1',
  'true',
  'false',
  '[]',
  '{}',
  'nan',
  '(null)',
  '<null>',
  '\\n',
  '[object object]',
]);

/** Whether a text that should name a user names nobody, whatever its case and the blanks around it. */
export function isPlaceholder(text: string): boolean {
  return text.length <= 64 && PLACEHOLDERS.has(text.trim().toLowerCase());
}
