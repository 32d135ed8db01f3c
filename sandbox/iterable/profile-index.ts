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
  const bearers = new Map<string, Profile[]>();
  return {
    first: (identifier) => (identifier === undefined ? undefined : bearers.get(identifier)?.[0]),
    all: (identifier) => [...(bearers.get(identifier) ?? [])],
    add(identifier, profile) {
      if (identifier === undefined) return;
      const others = bearers.get(identifier);
      if (others) others.push(profile);
      else bearers.set(identifier, [profile]);
    },
    remove(identifier, profile) {
      if (identifier === undefined) return;
      const others = (bearers.get(identifier) ?? []).filter((one) => one !== profile);
      if (others.length > 0) bearers.set(identifier, others);
      else bearers.delete(identifier);
    },
  };
}
