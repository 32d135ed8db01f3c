import { fingerprint, sha256 } from './hash.ts';
import { type Identity, type IdentityRules, identityKey, resolveIdentity } from './identity.ts';
import { KEY_BYTES, type MemberColumns, writeKey } from './member-record.ts';
import type { SourceMember } from './sources/source.ts';

/** Who the members of a page are in Iterable. The columns stay as they are until the next page. */
export function createNormaliser(rules: IdentityRules): (members: readonly SourceMember[]) => MemberColumns {
  let columns = createColumns(0);
  return (members) => {
    if (members.length > columns.distinctIdFingerprints.length) columns = createColumns(members.length);
    columns.distinctIds.length = members.length;
    columns.identities.length = members.length;
    members.forEach((member, index) => {
      // PostgreSQL's text cannot hold NUL.
      const distinctId = member.distinctId.includes('\0')
        ? member.distinctId.replaceAll('\0', '\uFFFD')
        : member.distinctId;
      const identity = resolveIdentity(member, rules);
      const isRejected = identity.kind === 'rejected';
      const text = isRejected ? `d:${distinctId}` : identityKey(rules.projectType, identity);
      const mark = fingerprint(distinctId);
      columns.distinctIds[index] = distinctId;
      columns.identities[index] = identity;
      writeKey(columns.keys, index * KEY_BYTES, sha256(text));
      columns.distinctIdFingerprints[index] = mark;
      columns.fingerprints[index] = isRejected
        ? 0
        : personFingerprint(rules.projectType, distinctId, mark, identity);
    });
    return columns;
  };
}

function createColumns(size: number) {
  return {
    distinctIds: [] as string[],
    identities: [] as Identity[],
    keys: Buffer.allocUnsafe(size * KEY_BYTES),
    distinctIdFingerprints: new Float64Array(size),
    fingerprints: new Float64Array(size),
  };
}

/** Of all that is known of somebody but the identity itself, which the key stands for. Never 0. mark: of the distinct_id. */
function personFingerprint(
  projectType: IdentityRules['projectType'],
  distinctId: string,
  mark: number,
  { email, userId }: Identity,
): number {
  const other = projectType === 'EMAIL' ? userId : email;
  if (other === undefined) return mark || 1;
  // Weighted, so that two texts may not change places unnoticed.
  return mark + 3 * (other === distinctId ? mark : fingerprint(other)) || 1;
}
