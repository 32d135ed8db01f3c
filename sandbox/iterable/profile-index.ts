import type { Profile } from './identity.ts';

/** Profiles by one of their identifiers, which several may share. */
export interface ProfileIndex {
  /** The one that had it first. */
  first(identifier: string | undefined): Profile | undefined;
  all(identifier: string): readonly Profile[];
  add(identifier: string | undefined, profile: Profile): void;
  remove(identifier: string | undefined, profile: Profile): void;
}

export function createProfileIndex(): ProfileIndex {
  // A list only where several share it: a sandbox may hold millions.
  const bearers = new Map<string, Profile | Profile[]>();
  const all = (identifier: string) => {
    const found = bearers.get(identifier) ?? [];
    return Array.isArray(found) ? found : [found];
  };
  return {
    first: (identifier) => (identifier === undefined ? undefined : all(identifier)[0]),
    all: (identifier) => [...all(identifier)],
    add(identifier, profile) {
      if (identifier === undefined) return;
      bearers.set(identifier, bearers.has(identifier) ? [...all(identifier), profile] : profile);
    },
    remove(identifier, profile) {
      if (identifier === undefined) return;
      const others = all(identifier).filter((one) => one !== profile);
      if (others.length > 0) bearers.set(identifier, others.length === 1 ? others[0]! : others);
      else bearers.delete(identifier);
    },
  };
}
