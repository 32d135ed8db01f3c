import { DATA_GROUP_ID, type Member, type MemberList, type MixpanelProject, toList } from './project.ts';

/** Properties by distinct_id, or by the id of a group; null: the profile was deleted. */
export type WrittenProfiles = Map<string, Record<string, unknown> | null>;

/** A cohort's members, with what was written of them since. */
export function withWritten(members: MemberList, written: WrittenProfiles): MemberList {
  if (written.size === 0) return members;
  const known = new Map(written);
  return {
    count: members.count,
    member: (index) => {
      const member = members.member(index);
      return known.has(member.distinctId)
        ? toMember(member.distinctId, known.get(member.distinctId))
        : member;
    },
  };
}

/** Everybody in the project who has a profile: the members of its cohorts, and whom somebody wrote one of. */
export function allProfiles(project: MixpanelProject, dataGroupId: number | undefined): MemberList {
  const isGroup = dataGroupId === DATA_GROUP_ID;
  const profiles = new Map<string, Member>();
  for (const cohort of project.cohorts.values()) {
    if (cohort.isGroup !== isGroup) continue;
    for (let index = 0; index < cohort.members.count; index++) {
      const member = cohort.members.member(index);
      if (member.properties) profiles.set(member.distinctId, member);
    }
  }
  for (const [id, properties] of isGroup ? project.groups : project.profiles) {
    if (properties === null) profiles.delete(id);
    else profiles.set(id, toMember(id, properties));
  }
  return toList([...profiles.values()]);
}

/** Only those members that are meant. */
export function keepOnly(members: MemberList, isMeant: (member: Member) => boolean): MemberList {
  const kept: number[] = [];
  for (let index = 0; index < members.count; index++) {
    if (isMeant(members.member(index))) kept.push(index);
  }
  return { count: kept.length, member: (index) => members.member(kept[index]!) };
}

function toMember(distinctId: string, properties: Record<string, unknown> | null | undefined): Member {
  return properties ? { distinctId, properties } : { distinctId };
}
