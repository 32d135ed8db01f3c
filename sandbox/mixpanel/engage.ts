import { randomBytes } from 'node:crypto';
import { countBehaviors } from './behaviors.ts';
import type { EngagePage, EngageQuery } from './engage-query.ts';
import { allProfiles, keepOnly, withWritten } from './profiles.ts';
import { DATA_GROUP_ID, type EngageSession, type MemberList, type MixpanelProject } from './project.ts';
import { RefusedQueryError } from './refused-query.ts';

const MAX_PAGE_SIZE = 40_000;

/** The body of an answer: one page of profiles, of a cohort or of the project. Throws RefusedQueryError. */
export function queryProfiles(project: MixpanelProject, asked: EngagePage, now: number): unknown {
  const { query, page } = asked;
  const { settings } = project;
  const [sessionId, session] = findSession(project, asked, now);
  // Without a snapshot a later page shows who is meant by now; of a cohort that is gone, who was.
  const members = (!settings.keepsSnapshots && select(project, query, now)) || session.members;
  const { pageSize } = session;
  const results: unknown[] = [];
  for (let index = page * pageSize; index < Math.min(members.count, (page + 1) * pageSize); index++) {
    const { distinctId, properties = {} } = members.member(index);
    results.push({ $distinct_id: distinctId, $properties: pick(properties, query.outputProperties) });
  }
  const isTotalTold = page === 0 || !settings.totalOnFirstPageOnly;
  return {
    results,
    page,
    session_id: sessionId,
    page_size: pageSize,
    ...(isTotalTold ? { total: Math.max(0, members.count + settings.totalError) } : {}),
    status: 'ok',
    computed_at: new Date(now).toISOString().replace('Z', '000+00:00'),
  };
}

/** A first page begins one; a later one must ask its own for the very same. */
function findSession(
  project: MixpanelProject,
  { query, page, sessionId = '' }: EngagePage,
  now: number,
): [string, EngageSession] {
  const { settings, sessions } = project;
  const known = sessions.get(sessionId);
  const isAlive = known && now - known.at <= settings.sessionLifeMs && known.key === query.key;
  // Behaviors are counted anew for each page, unless the moment is given.
  const isCached = isAlive && (page === 0 || !query.behaviors || query.asOfTimestamp !== undefined);
  if (isCached) return [sessionId, known];
  if (page > 0) throw new RefusedQueryError('request for page in uncached query for params');
  const members = select(project, query, now);
  if (!members) throw new RefusedQueryError(`cohort ${query.cohortId} not found`);
  const pageSize = Math.min(MAX_PAGE_SIZE, query.pageSize ?? settings.defaultPageSize);
  for (const [old, { at }] of sessions) if (now - at > settings.sessionLifeMs) sessions.delete(old);
  const begun = { members, key: query.key, pageSize, at: now };
  const id = `${now}-${randomBytes(16).toString('hex')}`;
  sessions.set(id, begun);
  return [id, begun];
}

/** Who is meant; undefined when there is no such cohort. Throws RefusedQueryError. */
function select(project: MixpanelProject, query: EngageQuery, now: number): MemberList | undefined {
  const { cohortId, dataGroupId, distinctIds, where, behaviors, asOfTimestamp, includeAllUsers } = query;
  if (dataGroupId !== undefined && dataGroupId !== DATA_GROUP_ID) {
    throw new RefusedQueryError(`data group ${dataGroupId} not found`);
  }
  let members = allOf(project, cohortId, dataGroupId);
  if (!members) return undefined;
  if (!includeAllUsers) members = keepOnly(members, ({ properties }) => properties !== undefined);
  if (distinctIds) {
    const wanted = new Set(distinctIds);
    members = keepOnly(members, ({ distinctId }) => wanted.has(distinctId));
  }
  if (!where) return members;
  const before = asOfTimestamp === undefined ? now : asOfTimestamp * 1000;
  const events = project.settings.keepsEvents ? project.imported.distinct() : project.imported.all;
  const counts = countBehaviors(behaviors ?? [], events, before);
  return keepOnly(members, ({ distinctId, properties }) => {
    const scope = {
      property: (name: string) => (name === '$distinct_id' ? distinctId : properties?.[name]),
      behavior: (name: string) => counts.get(name) && (counts.get(name)!.get(distinctId) ?? 0),
    };
    return where(scope) === true;
  });
}

function allOf(
  project: MixpanelProject,
  cohortId: number | undefined,
  dataGroupId: number | undefined,
): MemberList | undefined {
  if (cohortId === undefined) return allProfiles(project, dataGroupId);
  const cohort = project.cohorts.get(cohortId);
  if (!cohort || cohort.isGroup !== (dataGroupId !== undefined)) return undefined;
  return withWritten(cohort.members, cohort.isGroup ? project.groups : project.profiles);
}

function pick(properties: Record<string, unknown>, names: string[] | undefined): Record<string, unknown> {
  if (!names) return properties;
  const picked: Record<string, unknown> = {};
  for (const name of names) if (Object.hasOwn(properties, name)) picked[name] = properties[name];
  return picked;
}
