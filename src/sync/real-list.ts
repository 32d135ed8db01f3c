import type { IterableProjectType } from '../../db/values.ts';
import { partitionsFor } from './collect-members.ts';
import { type Destination, unexpectedAnswer } from './destination.ts';
import { hashKey } from './hash.ts';
import { identityKey } from './identity.ts';
import { partitionOf } from './key-range.ts';
import { KEY_BYTES } from './member-record.ts';
import { createSpill, type Spill } from './spill.ts';
import { peopleWithoutEmail } from './wrong-project-type.ts';

/** Who is on the list in Iterable, by ranges of their keys. */
export interface RealList {
  lines: Spill;
  /**
   * In hybrid projects a line is the userId or the e-mail: whoever was sent by e-mail may show by a userId of their own,
   * so the list is read both ways.
   */
  byEmail: Spill | undefined;
  /** No line is a userId. */
  isByEmailAlone: boolean;
  close(): Promise<void>;
}

export interface ListLine {
  kind: 'email' | 'userId';
  text: string;
}

export async function readRealList(
  destination: Destination,
  list: { projectType: IterableProjectType; listId: string; expectedPeople: number; signal: AbortSignal },
): Promise<RealList> {
  const { projectType } = list;
  const { spill: lines, userIds } = await readList(destination, list, projectType !== 'EMAIL');
  try {
    const byEmail = projectType === 'HYBRID' ? (await readList(destination, list, false)).spill : undefined;
    const close = async () => {
      await lines.close();
      await byEmail?.close();
    };
    return { lines, byEmail, isByEmailAlone: userIds === 0, close };
  } catch (error) {
    await lines.close();
    throw error;
  }
}

async function readList(
  destination: Destination,
  { projectType, listId, expectedPeople, signal }: Parameters<typeof readRealList>[1],
  preferUserId: boolean,
): Promise<{ spill: Spill; userIds: number }> {
  const reading = destination.request('listRead', async (client) => {
    const spill = createSpill(partitionsFor(expectedPeople));
    let userIds = 0;
    try {
      for await (const lines of client.getUsers(listId, { preferUserId, signal })) {
        for (const line of lines) if (addLine(spill, projectType, line) === 'userId') userIds++;
        if (spill.isFull()) await spill.flush();
      }
      return { spill, userIds };
    } catch (error) {
      await spill.close();
      throw error;
    }
  });
  return await reading.catch((error) => {
    throw unexpectedAnswer(error);
  });
}

function addLine(spill: Spill, projectType: IterableProjectType, line: string): ListLine['kind'] {
  // Taken for an address it would be sent for removal, whoever bears it.
  if (projectType === 'EMAIL' && !line.includes('@')) throw peopleWithoutEmail();
  const isEmail = projectType === 'EMAIL' || (projectType === 'HYBRID' && line.includes('@'));
  const text = isEmail ? line.toLowerCase() : line;
  const person = isEmail ? { email: text, userId: undefined } : { email: undefined, userId: text };
  const key = hashKey(identityKey(projectType, person));
  const record = `${isEmail ? 'e' : 'u'}${text}\n`;
  const partition = partitionOf(key.charCodeAt(0), spill.partitions);
  const { buffer, start } = spill.reserve(partition, KEY_BYTES + record.length * 3);
  buffer.write(key, start, KEY_BYTES, 'latin1');
  spill.commit(partition, KEY_BYTES + buffer.write(record, start + KEY_BYTES));
  return isEmail ? 'email' : 'userId';
}

/** The lines of one range of keys, by their keys. */
export async function linesOf(spill: Spill, partition: number): Promise<Map<string, ListLine>> {
  const bytes = await spill.read(partition);
  const lines = new Map<string, ListLine>();
  for (let at = 0; at < bytes.length; ) {
    const key = bytes.toString('latin1', at, at + KEY_BYTES);
    const end = bytes.indexOf('\n', at + KEY_BYTES);
    const kind = bytes[at + KEY_BYTES] === 'e'.charCodeAt(0) ? 'email' : 'userId';
    lines.set(key, { kind, text: bytes.toString('utf8', at + KEY_BYTES + 1, end) });
    at = end + 1;
  }
  return lines;
}

/** Whether a list has a line for each of the keys. */
export async function areAllListed(lines: Spill, keys: readonly string[]): Promise<boolean> {
  for (let partition = 0; partition < lines.partitions; partition++) {
    const wanted = keys.filter((key) => partitionOf(key.charCodeAt(0), lines.partitions) === partition);
    if (wanted.length === 0) continue;
    const listed = await linesOf(lines, partition);
    if (!wanted.every((key) => listed.has(key))) return false;
  }
  return true;
}
