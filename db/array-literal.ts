/**
 * An array of texts as PostgreSQL reads it, made several times faster than by the driver, which looks at each element.
 * The spelling of JSON is that of PostgreSQL but for the brackets, as long as nothing but quotes and backslashes is
 * escaped; anything else is left to the driver.
 */
export function toTextArray(values: readonly (string | null)[]): string | readonly (string | null)[] {
  const json = JSON.stringify(values);
  return /\\[^"\\]/.test(json) ? values : `{${json.slice(1, -1)}}`;
}

/** The same for what needs no quotes: keys and numbers. */
export function toPlainArray(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}
