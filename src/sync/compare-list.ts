import { setListCompared } from '../../db/queries/export-list.ts';
import {
  endStays,
  listLeftSince,
  loadListedMembers,
  loadStays,
  recordArrivals,
} from '../../db/queries/list-member.ts';
import type { IterableProjectType } from '../../db/tables.ts';
import { partitionsFor } from './collect-members.ts';
import { unexpectedAnswer } from './destination.ts';
import { hashKey } from './hash.ts';
import { identityKey } from './identity.ts';
import { partitionOf, rangeOf } from './key-range.ts';
import type { RunExecution } from './run-sync.ts';
import { createSpill, type Spill } from './spill.ts';

/** Nobody's run: people who were found on the list, put there by somebody else. */
const FOUND_BY_NO_RUN = '0';

/**
 * Reads the real list and makes what we know of it true: people who are missing are no longer taken to be on it,
 * people whom we never put there are. The plan that follows repairs both. People written more recently than Iterable
 * takes to show it are not judged. Memory is bounded by one range of keys.
 */
export async function compareList(execution: RunExecution): Promise<void> {
  const { deps, scope, reporter, logger } = execution;
  const projectType = scope.integration.project_type!;
  const exportId = scope.export.id;
  const now = deps.clock.now();
  const judgedUntil = new Date(now.getTime() - deps.env.visibilityDelayMs);
  const partitions = partitionsFor(scope.export.list_size);
  const real = await readList(execution, projectType, partitions, projectType !== 'EMAIL');
  // In hybrid projects a line is the userId or the e-mail: whoever was sent by e-mail may show by a userId of their own.
  const byEmail =
    projectType === 'HYBRID' ? await readList(execution, projectType, partitions, false) : undefined;
  let missing = 0;
  let foreign = 0;
  try {
    await deps.db.transaction().execute(async (trx) => {
      const hidden = byEmail ? await countHidden() : 0;
      for (let partition = 0; partition < partitions; partition++) {
        const lines = await linesOf(real, partition);
        const emailLines = byEmail ? await linesOf(byEmail, partition) : undefined;
        const gone: string[] = [];
        for (const stay of await loadStays(trx, exportId, rangeOf(partition, partitions))) {
          const isThere = lines.delete(stay.key) || emailLines?.has(stay.key) === true;
          // A userId that looks like an e-mail is listed under the e-mail's key: not judged.
          const isAmbiguous = byEmail !== undefined && stay.userId?.includes('@') === true;
          if (!isThere && !isAmbiguous && stay.addedAt <= judgedUntil) gone.push(stay.key);
        }
        const stillShown = await listLeftSince(trx, exportId, [...lines.keys()], judgedUntil);
        const knownByUserId = byEmail ? await findByUserId(lines) : new Set<string>();
        const strangers = [...lines].filter(
          ([key, line]) =>
            !stillShown.has(key) && !knownByUserId.has(line.text) && (hidden === 0 || line.kind === 'email'),
        );
        await endStays(trx, exportId, gone, now);
        await recordArrivals(
          trx,
          { exportId, runId: FOUND_BY_NO_RUN, at: now, uncertain: false },
          strangers.map(([key, line]) => ({
            key,
            distinctId: null,
            email: line.kind === 'email' ? line.text : null,
            userId: line.kind === 'userId' ? line.text : null,
            sentFingerprint: 0,
          })),
        );
        missing += gone.length;
        foreign += strangers.length;
      }
      await setListCompared(trx, exportId, now);

      async function findByUserId(lines: Map<string, ListLine>): Promise<Set<string>> {
        const keys = [...lines.values()].map((line) =>
          hashKey(identityKey('USER_ID', { userId: line.text, email: null })),
        );
        const known = await loadListedMembers(trx, exportId, keys);
        return new Set(known.flatMap((member) => member.userId ?? []));
      }

      /** People sent by e-mail who show by a userId: as long as there are any, an unknown userId may be theirs. */
      async function countHidden(): Promise<number> {
        let count = 0;
        for (let partition = 0; partition < partitions; partition++) {
          const lines = await linesOf(real, partition);
          const emailLines = await linesOf(byEmail!, partition);
          for (const stay of await loadStays(trx, exportId, rangeOf(partition, partitions))) {
            if (stay.userId === null && !lines.has(stay.key) && emailLines.has(stay.key)) count++;
          }
        }
        return count;
      }
    });
  } finally {
    await real.close();
    await byEmail?.close();
  }
  logger.info({ missing, foreign }, 'compared with the real list');
  if (missing + foreign > 0) {
    reporter.notice(
      `Drift: ${missing} people were missing from the list in Iterable and ${foreign} were on it whom no run had put there.`,
    );
  }
}

async function readList(
  { destination, scope, reporter }: RunExecution,
  projectType: IterableProjectType,
  partitions: number,
  preferUserId: boolean,
): Promise<Spill> {
  const reading = destination.request('listRead', async (client) => {
    const spill = createSpill(partitions);
    try {
      for await (const lines of client.getUsers(scope.export.list_id!, {
        preferUserId,
        signal: reporter.halt,
      })) {
        for (const line of lines) addLine(spill, projectType, line);
        if (spill.isFull()) await spill.flush();
      }
      return spill;
    } catch (error) {
      await spill.close();
      throw error;
    }
  });
  return await reading.catch((error) => {
    throw unexpectedAnswer(error);
  });
}

function addLine(spill: Spill, projectType: IterableProjectType, line: string) {
  const isEmail = projectType === 'EMAIL' || (projectType === 'HYBRID' && line.includes('@'));
  const text = isEmail ? line.toLowerCase() : line;
  const person = isEmail ? { email: text, userId: undefined } : { email: undefined, userId: text };
  const key = hashKey(identityKey(projectType, person));
  const record = `${key}${isEmail ? 'e' : 'u'}${text}\n`;
  const partition = partitionOf(key, spill.partitions);
  const room = spill.reserve(partition, record.length * 3);
  spill.commit(partition, room.buffer.write(record, room.start));
}

interface ListLine {
  kind: 'email' | 'userId';
  text: string;
}

async function linesOf(spill: Spill, partition: number): Promise<Map<string, ListLine>> {
  const text = (await spill.read(partition)).toString();
  const lines = new Map<string, ListLine>();
  for (const record of text.split('\n')) {
    if (record === '') continue;
    lines.set(record.slice(0, 32), { kind: record[32] === 'e' ? 'email' : 'userId', text: record.slice(33) });
  }
  return lines;
}
