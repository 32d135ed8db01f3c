import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import { type OperationContext, serveOperation } from '../serve-operation.ts';
import { findOwner } from './account.ts';
import type { MemberList, MixpanelProject } from './project.ts';

export interface MixpanelContext extends OperationContext {
  projects: MixpanelProject[];
}

const MAX_PAGE_SIZE = 40_000;

/** Answers as mixpanel.com: /api/query/… and the older /api/2.0/…, and /api/app/me. */
export async function serveMixpanel(
  context: MixpanelContext,
  region: 'US' | 'EU' | 'IN',
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const params = readParams(request);
  const endpoint = request.path.replace(/^\/api\/(query|2\.0)\//, '');
  const page = Number(params.get('page') ?? 0);
  const name = endpoint === 'cohorts/list' ? 'cohorts' : endpoint === 'engage' ? 'engage' : 'unknown';
  const cohortId = readCohortId(params);
  const refuse = (status: number, error: string): SandboxReply => ({
    status,
    body: { request: `${request.path}?project_id=${params.get('project_id')}`, error },
  });
  const addressed = context.projects.find(
    (project) => project.region === region && project.id === params.get('project_id'),
  );
  if (addressed) {
    addressed.running++;
    addressed.mostRunning = Math.max(addressed.mostRunning, addressed.running);
  }
  const serving = serveOperation(context, request, response, {
    name: request.path === '/api/app/me' ? 'mixpanel.me' : `mixpanel.${name}`,
    details:
      name === 'engage' ? { page, ...(cohortId === undefined ? {} : { cohortId: String(cohortId) }) } : {},
    answer() {
      const owner = findOwner(context.projects, region, request)?.project;
      if (!owner) return refuse(401, 'Unable to authenticate request');
      if (request.path === '/api/app/me') {
        return {
          status: 200,
          body: { status: 'ok', results: { projects: { [owner.id]: { id: Number(owner.id) } } } },
        };
      }
      if (name === 'unknown') return refuse(400, 'Invalid API endpoint');
      const projectId = params.get('project_id');
      if (projectId === null) return refuse(401, 'Unable to authenticate request');
      if (projectId !== owner.id) return refuse(403, 'Forbidden');
      if (!owner.settings.hasApi) {
        return refuse(402, 'Your plan does not allow API calls. Upgrade at mixpanel.com/pricing');
      }
      const { queriesPerHour, concurrentQueries, laterPagesCount, workspaceId } = owner.settings;
      if (workspaceId !== null && params.get('workspace_id') !== workspaceId)
        return refuse(400, 'workspace_id must be of a Data View that you may read');
      const isTooMany = (page === 0 || laterPagesCount) && owner.queries.take() > 0;
      if (isTooMany || owner.running > concurrentQueries) {
        return refuse(
          429,
          `Query rate limit exceeded for project_id: ${owner.id}. ${owner.running}/${concurrentQueries} queries running concurrently and ${owner.queries.count + (isTooMany ? 1 : 0)}/${queriesPerHour} queries running in the last hour. For more information, please consult our documentation at https://developer.mixpanel.com/reference/rate-limits`,
        );
      }
      if (name === 'cohorts') return { status: 200, body: listCohorts(owner) };
      return engage(owner, { cohortId, page, params, refuse, now: context.clock.now() });
    },
  });
  await serving.finally(() => {
    if (addressed) addressed.running--;
  });
}

function listCohorts(project: MixpanelProject): unknown[] {
  return [...project.cohorts.values()].map((cohort) => ({
    id: cohort.id,
    project_id: Number(project.id),
    name: cohort.name,
    description: cohort.description,
    data_group_id: cohort.isGroup ? 12_345 : null,
    count: cohort.members.count,
    is_visible: 1,
    created: '2026-01-05 09:30:00',
  }));
}

function engage(
  project: MixpanelProject,
  query: {
    cohortId: number | undefined;
    page: number;
    params: URLSearchParams;
    refuse: (status: number, error: string) => SandboxReply;
    now: number;
  },
): SandboxReply {
  const { cohortId, page, params, refuse, now } = query;
  const { settings } = project;
  let sessionId = params.get('session_id') ?? undefined;
  if (page > 0 && sessionId === undefined)
    return refuse(400, 'must have session_id when requesting page > 0');
  if (page === 0) {
    const cohort = cohortId === undefined ? undefined : project.cohorts.get(cohortId);
    if (!cohort || cohort.isGroup) return refuse(400, `cohort ${cohortId} not found`);
    sessionId = `${now}-${randomBytes(16).toString('hex')}`;
    const pageSize = Math.min(MAX_PAGE_SIZE, Number(params.get('page_size') ?? settings.defaultPageSize));
    const members =
      params.get('include_all_users') === 'false' ? withProfile(cohort.members) : cohort.members;
    project.sessions.set(sessionId, { members, cohortId: cohort.id, pageSize, at: now });
  }
  const session = project.sessions.get(sessionId!);
  if (!session || now - session.at > settings.sessionLifeMs || session.cohortId !== cohortId) {
    return refuse(400, 'request for page in uncached query for params');
  }
  const wanted = JSON.parse(params.get('output_properties') ?? 'null') as string[] | null;
  const results: unknown[] = [];
  const { pageSize } = session;
  const members = settings.keepsSnapshots
    ? session.members
    : (project.cohorts.get(session.cohortId)?.members ?? session.members);
  for (let index = page * pageSize; index < Math.min(members.count, (page + 1) * pageSize); index++) {
    const { distinctId, properties = {} } = members.member(index);
    const shown: Record<string, unknown> = wanted ? {} : properties;
    if (wanted) {
      for (const property of wanted) if (property in properties) shown[property] = properties[property];
    }
    results.push({ $distinct_id: distinctId, $properties: shown });
  }
  const isTotalTold = page === 0 || !settings.totalOnFirstPageOnly;
  return {
    status: 200,
    body: {
      results,
      page,
      session_id: sessionId,
      page_size: pageSize,
      ...(isTotalTold ? { total: Math.max(0, members.count + settings.totalError) } : {}),
      status: 'ok',
      computed_at: new Date(now).toISOString(),
    },
  };
}

function withProfile(members: MemberList): MemberList {
  const kept: number[] = [];
  for (let index = 0; index < members.count; index++) {
    if (members.member(index).properties !== undefined) kept.push(index);
  }
  return { count: kept.length, member: (index) => members.member(kept[index]!) };
}

/** Parameters come in the query, a form or JSON. */
function readParams(request: SandboxRequest): URLSearchParams {
  const params = new URLSearchParams(request.query);
  if (request.headers['content-type']?.includes('json') && request.body.trim() !== '') {
    for (const [name, value] of Object.entries(JSON.parse(request.body) as object)) {
      params.set(name, typeof value === 'string' ? value : JSON.stringify(value));
    }
  } else {
    for (const [name, value] of new URLSearchParams(request.body)) params.set(name, value);
  }
  return params;
}

function readCohortId(params: URLSearchParams): number | undefined {
  try {
    const { id } = JSON.parse(params.get('filter_by_cohort') ?? '{}') as { id?: unknown };
    return id === undefined ? undefined : Number(id);
  } catch {
    return undefined;
  }
}
