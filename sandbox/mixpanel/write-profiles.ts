import type { Outcome, RecordFailure } from './ingest-answers.ts';
import { allProfiles } from './profiles.ts';
import { DATA_GROUP_ID, type MixpanelProject } from './project.ts';

type Properties = Record<string, unknown>;

/** What an update makes of one property. */
const CHANGES: Record<string, (old: unknown, given: unknown) => unknown> = {
  $set: (_old, given) => given,
  $set_once: (old, given) => (old === undefined ? given : old),
  $add: (old, given) => (typeof old === 'number' ? old : 0) + Number(given),
  $append: (old, given) => [...toItems(old), given],
  $union: (old, given) => [...new Set([...toItems(old), ...toItems(given)])],
  $remove: (old, given) => (Array.isArray(old) ? old.filter((one) => one !== given) : old),
};

/** POST /engage and /groups: updates of profiles, each with the token of its project. */
export function writeProfiles(
  projects: readonly MixpanelProject[],
  records: readonly unknown[],
  isGroups: boolean,
): Outcome {
  const failed: RecordFailure[] = [];
  let lost = 0;
  const known = new Map<MixpanelProject, Map<string, Properties | undefined>>();
  for (const [index, record] of records.entries()) {
    const update = Object(record) as Properties;
    const fault = checkUpdate(update, isGroups);
    if (fault) {
      failed.push({ index, ...fault });
      continue;
    }
    const project = projects.find((one) => one.token === update.$token);
    if (!project) {
      lost++;
      continue;
    }
    if (!known.has(project)) known.set(project, readKnown(project, isGroups));
    const written = isGroups ? project.groups : project.profiles;
    const id = String(isGroups ? update.$group_id : update.$distinct_id);
    const before = written.has(id) ? written.get(id)! : (known.get(project)!.get(id) ?? null);
    const after = applyUpdate(before, update);
    if (after !== before) written.set(id, after);
  }
  return { good: records.length - failed.length, failed, lost };
}

function readKnown(project: MixpanelProject, isGroups: boolean): Map<string, Properties | undefined> {
  const { count, member } = allProfiles(project, isGroups ? DATA_GROUP_ID : undefined);
  return new Map(
    Array.from({ length: count }, (_, index) => [member(index).distinctId, member(index).properties]),
  );
}

/** The profile as it then is; null: there is none. What only takes away makes none. */
function applyUpdate(profile: Properties | null, update: Properties): Properties | null {
  if ('$delete' in update) return null;
  let after = profile;
  for (const [name, change] of Object.entries(CHANGES)) {
    if (!(name in update) || (name === '$remove' && after === null)) continue;
    after = { ...after };
    for (const [key, given] of Object.entries(update[name] as Properties)) {
      const value = change(after[key], given);
      if (value !== undefined) after[key] = value;
    }
  }
  if (after === null || !Array.isArray(update.$unset)) return after;
  const gone = new Set<unknown>(update.$unset);
  return Object.fromEntries(Object.entries(after).filter(([name]) => !gone.has(name)));
}

function checkUpdate(update: Properties, isGroups: boolean): Omit<RecordFailure, 'index'> | undefined {
  const wrong = (field: string, reason: string) => ({ field, message: `'${field}' ${reason}` });
  for (const field of ['$token', ...(isGroups ? ['$group_key', '$group_id'] : ['$distinct_id'])]) {
    const value = update[field];
    const isId = typeof value === 'string' || (field !== '$token' && typeof value === 'number');
    if (!isId || value === '') return wrong(field, 'must not be missing or blank');
  }
  for (const name of Object.keys(CHANGES).filter((one) => one in update)) {
    const given = update[name];
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      return wrong(name, 'must be an object');
    }
    const values = Object.values(given);
    if (name === '$add' && values.some((one) => typeof one !== 'number')) {
      return wrong(name, 'must have numbers only');
    }
    if (name === '$union' && !values.every(Array.isArray)) return wrong(name, 'must have arrays only');
  }
  const { $unset: names } = update;
  const isTexts = Array.isArray(names) && names.every((one) => typeof one === 'string');
  if (names !== undefined && !isTexts) return wrong('$unset', 'must be an array of names');
  const known = [...Object.keys(CHANGES), '$unset', '$delete'];
  return known.some((one) => one in update) ? undefined : wrong('$set', 'or another update must be given');
}

function toItems(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}
