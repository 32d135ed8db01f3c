import { checkEvent } from './check-event.ts';
import { fillIn, isIdentityEvent } from './fill-in.ts';
import type { Outcome, RecordFailure } from './ingest-answers.ts';
import type { MixpanelProject } from './project.ts';

/** Older events are dropped without a word: /import is for them. */
const MAX_AGE_MS = 5 * 86_400_000;

/** POST /track: events of today, each with the token of its project. */
export function trackEvents(
  projects: readonly MixpanelProject[],
  records: readonly unknown[],
  now: number,
): Outcome {
  const failed: RecordFailure[] = [];
  let lost = 0;
  for (const [index, record] of records.entries()) {
    const { token } = Object((record as { properties?: unknown } | null)?.properties) as { token?: unknown };
    if (typeof token !== 'string' || token === '') {
      failed.push({ index, field: 'properties.token', message: "'properties.token' must not be missing" });
      continue;
    }
    const project = projects.find((one) => one.token === token);
    const idMerge = project?.settings.idMerge ?? 'SIMPLIFIED';
    const checked = checkEvent(fillIn(record, now), { idMerge, now, mayBeLarge: true });
    if ('failure' in checked) failed.push({ index, ...checked.failure });
    else if (!project) lost++;
    else if (
      now - checked.event.time <= MAX_AGE_MS &&
      !(idMerge === 'SIMPLIFIED' && isIdentityEvent(record))
    ) {
      project.imported.add(checked.event);
    }
  }
  return { good: records.length - failed.length, failed, lost };
}
