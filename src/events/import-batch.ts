import type { ImportAnswer, ImportClient } from './import-client.ts';

/** For one batch; what is known by then is settled, and the rest is tried again later. */
const MAX_REQUESTS = 100;
/** The transaction that has the project's lock is idle meanwhile, which PostgreSQL allows for ten minutes (ENGINE_LIMITS). */
const MAX_MS = 300_000;

/** What became of each record of a batch, by their places. */
export interface ImportOutcome {
  imported: number[];
  refused: { index: number; detail: string }[];
  /** Why what is in neither is to be tried again later. */
  stopped: Exclude<ImportAnswer, { kind: 'TAKEN' | 'TOO_LARGE' }> | undefined;
}

/**
 * Imports records and finds out what became of each. A batch that is too large, or of which more is missing than is named, is
 * sent again in halves: Mixpanel knows a repeat by its $insert_id.
 */
export async function importBatch(
  client: ImportClient,
  records: readonly string[],
  signal: AbortSignal,
): Promise<ImportOutcome> {
  const startedAt = performance.now();
  let requests = 0;
  const outcome: ImportOutcome = { imported: [], refused: [], stopped: undefined };
  await importPart(records.map((_, index) => index));
  return outcome;

  async function importPart(places: readonly number[]): Promise<void> {
    if (places.length === 0 || outcome.stopped) return;
    if (++requests > MAX_REQUESTS || performance.now() - startedAt > MAX_MS) {
      outcome.stopped = { kind: 'BUSY', message: 'Too much is left unexplained.', retryAfterMs: undefined };
      return;
    }
    const answer = await client.importEvents(
      places.map((place) => records[place]!),
      signal,
    );
    if (answer.kind === 'REFUSED' || answer.kind === 'BUSY') {
      outcome.stopped = answer;
      return;
    }
    const failures = answer.kind === 'TAKEN' ? answer.failures : [];
    const missing = answer.kind === 'TAKEN' ? places.length - answer.imported : places.length;
    for (const { index, message } of failures) {
      outcome.refused.push({ index: places[index]!, detail: `Mixpanel refused it: ${message}` });
    }
    const named = new Set(failures.map(({ index }) => index));
    const rest = places.filter((_, index) => !named.has(index));
    if (missing <= failures.length) {
      outcome.imported.push(...rest);
    } else if (places.length === 1) {
      outcome.refused.push({ index: places[0]!, detail: `Mixpanel refused it: ${answer.message}` });
    } else if (rest.length < places.length) {
      await importPart(rest);
    } else {
      const middle = Math.ceil(rest.length / 2);
      await importPart(rest.slice(0, middle));
      await importPart(rest.slice(middle));
    }
  }
}
