import type { PushedLeftovers } from '../../../../db/queries/apply-session.ts';
import type { PushedSessionRow } from '../../../../db/webhook-tables.ts';
import { countPeople } from '../../count-people.ts';

/**
 * What a cohort says of the pushes since all members were told last. The numbers are kept in its sentences and nowhere else: each
 * is read back as it was written.
 */
interface PushNote extends PushedLeftovers {
  /** Of the last session that never became whole. */
  loss: string;
}

const NAMELESS = countedSentence('without a distinct_id and an e-mail that can be used; they were left out.');
const UNKNOWN = countedSentence(
  'to be removed who could not be found in the cohort, neither by distinct_id nor by userId or e-mail. Who is in it under another name stays.',
);

/** The note with these people added to its numbers; null when there is nothing to tell. */
export function addLeftovers(note: string | null, { nameless, unknown }: PushedLeftovers): string | null {
  const told = read(note);
  return write({ ...told, nameless: told.nameless + nameless, unknown: told.unknown + unknown });
}

/** The note with this session, which never became whole, in the place of an earlier one. */
export function addLoss(
  note: string | null,
  { total_pages, begun_at, pages }: PushedSessionRow,
): string | null {
  const loss = `Of ${total_pages} pages that Mixpanel began to push at ${begun_at.toISOString()} only ${pages} came within three days. They were left out; nobody was added or removed by them.`;
  return write({ ...read(note), loss });
}

function read(note: string | null): PushNote {
  const text = note ?? '';
  return {
    loss: UNKNOWN.leaveOut(NAMELESS.leaveOut(text)).trim(),
    nameless: NAMELESS.read(text),
    unknown: UNKNOWN.read(text),
  };
}

function write({ loss, nameless, unknown }: PushNote): string | null {
  const sentences = [loss, NAMELESS.write(nameless), UNKNOWN.write(unknown)];
  return sentences.filter((sentence) => sentence !== '').join(' ') || null;
}

function countedSentence(end: string) {
  const pattern = new RegExp(`Mixpanel pushed (\\d+) (?:person|people) ${end.replaceAll('.', '\\.')}`);
  return {
    read: (text: string) => Number(pattern.exec(text)?.[1] ?? 0),
    write: (count: number) => (count === 0 ? '' : `Mixpanel pushed ${countPeople(count)} ${end}`),
    leaveOut: (text: string) => text.replace(pattern, ''),
  };
}
