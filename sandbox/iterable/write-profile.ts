import { z } from 'zod';
import { isObject } from '../is-object.ts';
import type { Failure, Profile } from './identity.ts';
import type { IterableProject } from './project.ts';
import type { FieldMismatch } from './user-fields.ts';

/** A person as calls for lists and users name them. */
export const givenProfile = z.object({
  email: z.string().optional(),
  userId: z.string().optional(),
  preferUserId: z.boolean().optional(),
  dataFields: z.record(z.string(), z.unknown()).optional(),
  mergeNestedObjects: z.boolean().optional(),
});

export type GivenProfile = z.infer<typeof givenProfile>;

export type Written =
  | { profile: Profile; created: string[]; filteredOut: string[] }
  /** The mismatches are those of the fields, if that is why. */
  | { failures: Failure[]; mismatches: FieldMismatch[] };

/** Writes to a profile, and makes it where it is not there. What is not named stays as it is. */
export function writeProfile(
  project: IterableProject,
  given: GivenProfile,
  { createNewFields = true, updateExistingOnly = false } = {},
): Written {
  // Identifiers among the fields are not what people are known by.
  const { email: _, userId: __, ...dataFields } = given.dataFields ?? {};
  const checked = project.fields.check(dataFields, { createNewFields });
  if ('mismatches' in checked) return { failures: [toFailure(given)], mismatches: checked.mismatches };
  const found = project.users.resolve(given, { create: true, updateExistingOnly });
  if ('failures' in found) return { failures: found.failures, mismatches: [] };
  const { profile } = found;
  project.fields.add(checked.created);
  if (given.dataFields) {
    profile.dataFields = merge(profile.dataFields, checked.dataFields, given.mergeNestedObjects === true);
  }
  return { profile, created: [...checked.created.keys()], filteredOut: checked.filteredOut };
}

function merge(
  old: Readonly<Record<string, unknown>>,
  given: Record<string, unknown>,
  isDeep: boolean,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...old, ...given };
  for (const [name, value] of Object.entries(isDeep ? given : {})) {
    const before = old[name];
    if (isObject(before) && isObject(value)) merged[name] = { ...before, ...value };
  }
  return merged;
}

function toFailure({ email, userId }: GivenProfile): Failure {
  return email === undefined
    ? { bucket: 'invalidData', kind: 'userId', identifier: userId ?? '' }
    : { bucket: 'invalidData', kind: 'email', identifier: email.toLowerCase() };
}
