/** One person in a batch of the journal, as they are read back to be sent and recorded. */
export interface BatchMember {
  key: string;
  distinctId: string | null;
  email: string | null;
  userId: string | null;
  /** On the list already: only the profile's userId is written. */
  onList: boolean;
}

/** How a batch stands in the journal: JSON rows, shorter than objects and read by nobody else. */
export function encodeMembers(members: BatchMember[]): string {
  return JSON.stringify(
    members.map(({ key, distinctId, email, userId, onList }) => [
      key,
      distinctId,
      email,
      userId,
      onList ? 1 : 0,
    ]),
  );
}

export function decodeMembers(text: string): BatchMember[] {
  const rows = JSON.parse(text) as [string, string | null, string | null, string | null, 0 | 1][];
  return rows.map(([key, distinctId, email, userId, onList]) => ({
    key,
    distinctId,
    email,
    userId,
    onList: onList === 1,
  }));
}
