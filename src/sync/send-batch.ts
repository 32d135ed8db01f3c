import type { RejectionReason } from '../../db/values.ts';
import type { BatchMember } from './batch-members.ts';
import type { Subscriber } from './identity.ts';
import type { ListUpdateFailure, ListUpdateResult } from './iterable/answers.ts';
import { BatchTooLargeError, PersonRefusedError } from './iterable/errors.ts';

type Bucket = ListUpdateFailure['bucket'];

export interface BatchAnswer {
  accepted: BatchMember[];
  refused: { member: BatchMember; reason: RejectionReason }[];
}

const REASONS: Record<Bucket, RejectionReason> = {
  invalid: 'ITERABLE_INVALID',
  notFound: 'ITERABLE_NOT_FOUND',
  forgotten: 'ITERABLE_FORGOTTEN',
  conflict: 'ITERABLE_CONFLICT',
  invalidData: 'ITERABLE_INVALID_DATA',
};

export interface BatchSending {
  /** Makes one request; throws when the request as a whole failed. */
  send: (subscribers: Subscriber[]) => Promise<ListUpdateResult>;
  /** What is sent for one of them. */
  describe: (member: BatchMember) => Subscriber;
}

/**
 * Sends people and finds out what became of each. A batch that is too large, or refused for one person's sake, is halved; one that names fewer people
 * than it counts as failed, or names two with one identifier, is sent again in parts until everybody is accounted for
 * (both calls may be repeated freely).
 */
export async function sendBatch(how: BatchSending, members: BatchMember[]): Promise<BatchAnswer> {
  let result: ListUpdateResult;
  try {
    result = await how.send(members.map(how.describe));
  } catch (error) {
    const isOfPart = error instanceof BatchTooLargeError || error instanceof PersonRefusedError;
    if (isOfPart && members.length > 1) return await sendInParts(how, halves(members));
    if (!(error instanceof PersonRefusedError)) throw error;
    return { accepted: [], refused: [{ member: members[0]!, reason: REASONS[error.bucket] }] };
  }
  if (result.failCount === 0 && result.failures.length === 0) return { accepted: members, refused: [] };
  const { named, ambiguous } = attribute(how, members, result.failures);
  const answer: BatchAnswer = { accepted: [], refused: [] };
  const rest: BatchMember[] = [];
  for (const member of members) {
    const bucket = named.get(member);
    if (bucket !== undefined) answer.refused.push({ member, reason: REASONS[bucket] });
    else if (!ambiguous.has(member)) rest.push(member);
  }
  // Two people with one userId: which of them failed shows only when each is sent alone.
  const alone = await sendInParts(
    how,
    [...ambiguous].map((member) => [member]),
  );
  // An ambiguous name may speak of one of its people or of all of them: only what nobody can explain is searched for.
  const unexplained = result.failCount - named.size - alone.refused.length;
  let others: BatchAnswer = { accepted: rest, refused: [] };
  if (unexplained > 0 && rest.length === 1) {
    others = { accepted: [], refused: [{ member: rest[0]!, reason: 'ITERABLE_UNATTRIBUTED' }] };
  } else if (unexplained > 0 && rest.length > 1) {
    others = await sendInParts(how, halves(rest));
  }
  return merge([answer, alone, others]);
}

async function sendInParts(how: BatchSending, parts: BatchMember[][]): Promise<BatchAnswer> {
  const answers: BatchAnswer[] = [];
  for (const part of parts) answers.push(await sendBatch(how, part));
  return merge(answers);
}

/** Whom the failures speak of. Names that nobody in the batch bears say nothing. */
function attribute(how: BatchSending, members: BatchMember[], failures: ListUpdateFailure[]) {
  const named = new Map<BatchMember, Bucket>();
  const ambiguous = new Set<BatchMember>();
  if (failures.length === 0) return { named, ambiguous };
  const bySent = indexByName(members, how.describe);
  // Iterable may name a person by the other identifier of the profile that it found.
  const byKnown = indexByName(members, ({ email, userId }) => ({
    ...(email === null ? {} : { email }),
    ...(userId === null ? {} : { userId }),
  }));
  for (const failure of failures) {
    const name = `${failure.kind} ${failure.identifier}`;
    const found = bySent.get(name) ?? byKnown.get(name) ?? [];
    if (found.length === 1) named.set(found[0]!, named.get(found[0]!) ?? failure.bucket);
    else for (const member of found) ambiguous.add(member);
  }
  for (const member of named.keys()) ambiguous.delete(member);
  // Alone in its request, a name is not ambiguous any more.
  if (members.length === 1) ambiguous.clear();
  return { named, ambiguous };
}

function indexByName(
  members: BatchMember[],
  describe: (member: BatchMember) => Subscriber,
): Map<string, BatchMember[]> {
  const bearers = new Map<string, BatchMember[]>();
  for (const member of members) {
    const { email, userId } = describe(member);
    for (const name of [email && `email ${email.toLowerCase()}`, userId && `userId ${userId}`]) {
      if (!name) continue;
      const others = bearers.get(name);
      if (others) others.push(member);
      else bearers.set(name, [member]);
    }
  }
  return bearers;
}

function halves(members: BatchMember[]): BatchMember[][] {
  const middle = Math.ceil(members.length / 2);
  return [members.slice(0, middle), members.slice(middle)];
}

function merge(answers: BatchAnswer[]): BatchAnswer {
  return {
    accepted: answers.flatMap((answer) => answer.accepted),
    refused: answers.flatMap((answer) => answer.refused),
  };
}
