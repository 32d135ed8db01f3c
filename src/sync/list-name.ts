/** Iterable publishes no limit; names longer than this are cut (counted in UTF-16 units). */
const MAX_LENGTH = 255;

/** mixpanel_<Cohort Name>_<Cohort ID>, cut within the cohort's name so that the id survives. */
export function listNameFor(cohortName: string, externalId: string): string {
  const prefix = 'mixpanel_';
  const suffix = `_${externalId}`;
  let name = cohortName.slice(0, MAX_LENGTH - prefix.length - suffix.length);
  // A cut between the two halves of a surrogate pair would leave half a character behind.
  if (name.length < cohortName.length && /[\uD800-\uDBFF]$/.test(name)) name = name.slice(0, -1);
  return prefix + name + suffix;
}
