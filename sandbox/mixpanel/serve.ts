import type { ServerResponse } from 'node:http';
import type { SandboxRequest } from '../http.ts';
import { type OperationContext, serveOperation } from '../serve-operation.ts';
import { type Caller, findCaller } from './account.ts';
import { queryProfiles } from './engage.ts';
import { type EngagePage, readEngagePage } from './engage-query.ts';
import { readParams } from './params.ts';
import { DATA_GROUP_ID, type MixpanelProject } from './project.ts';
import { RefusedQueryError } from './refused-query.ts';

export interface MixpanelContext extends OperationContext {
  projects: MixpanelProject[];
}

/** A request to the Query API, as far as it can be read. */
interface Asked {
  name: 'cohorts' | 'engage' | 'me' | 'unknown';
  params: URLSearchParams;
  engage?: EngagePage;
  fault?: RefusedQueryError;
}

/** Answers as mixpanel.com: /api/query/… and the older /api/2.0/…, and /api/app/me. */
export async function serveMixpanel(
  context: MixpanelContext,
  region: 'US' | 'EU' | 'IN',
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const projects = context.projects.filter((project) => project.region === region);
  const asked = readAsked(request);
  const { name, engage } = asked;
  const projectId = asked.params.get('project_id');
  const addressed =
    projectId === null
      ? findCaller(projects, request)?.project
      : projects.find((project) => project.id === projectId);
  if (addressed && name !== 'me') {
    addressed.running++;
    addressed.mostRunning = Math.max(addressed.mostRunning, addressed.running);
  }
  const cohortId = engage?.query.cohortId;
  const details = {
    page: engage?.page ?? 0,
    ...(cohortId === undefined ? {} : { cohortId: String(cohortId) }),
  };
  const serving = serveOperation(context, request, response, {
    name: `mixpanel.${name}`,
    details: name === 'engage' ? details : {},
    answer() {
      try {
        return { status: 200, body: answer(findCaller(projects, request), asked, context.clock.now()) };
      } catch (error) {
        if (!(error instanceof RefusedQueryError)) throw error;
        const query = request.query.size > 0 ? `?${request.query}` : '';
        return { status: error.status, body: { request: `${request.path}${query}`, error: error.message } };
      }
    },
  });
  await serving.finally(() => {
    if (addressed && name !== 'me') addressed.running--;
  });
}

function readAsked(request: SandboxRequest): Asked {
  const name = toName(request.path);
  let params = request.query;
  try {
    params = readParams(request);
    return { name, params, ...(name === 'engage' ? { engage: readEngagePage(params) } : {}) };
  } catch (error) {
    if (!(error instanceof RefusedQueryError)) throw error;
    return { name, params, fault: error };
  }
}

function toName(path: string): Asked['name'] {
  if (path === '/api/app/me') return 'me';
  const [, endpoint] = /^\/api\/(?:query|2\.0)\/(.+)$/.exec(path) ?? [];
  return endpoint === 'cohorts/list' ? 'cohorts' : endpoint === 'engage' ? 'engage' : 'unknown';
}

/** The body of an answer. Throws RefusedQueryError. */
function answer(caller: Caller | undefined, { name, params, engage, fault }: Asked, now: number): unknown {
  const projectId = params.get('project_id');
  // Who knows the secret has named the project by it; the App API takes accounts only.
  const isNamed = projectId !== null || caller?.account === undefined || name === 'me';
  if (!caller || !isNamed || (name === 'me' && !caller.account)) {
    throw new RefusedQueryError('Unable to authenticate request', 401);
  }
  const { project } = caller;
  if (name === 'me') return describeMe(project);
  if (name === 'unknown') throw new RefusedQueryError('Invalid API endpoint');
  if (projectId !== null && projectId !== project.id) throw new RefusedQueryError('Forbidden', 403);
  if (!project.settings.hasApi) {
    throw new RefusedQueryError('Your plan does not allow API calls. Upgrade at mixpanel.com/pricing', 402);
  }
  const { workspaceId } = project.settings;
  if (workspaceId !== null && params.get('workspace_id') !== workspaceId) {
    throw new RefusedQueryError('workspace_id must be of a Data View that you may read');
  }
  if (fault) throw fault;
  takeTurn(project, engage?.page ?? 0);
  return engage ? queryProfiles(project, engage, now) : listCohorts(project);
}

/** One of the queries of the hour, unless it asks for a later page. */
function takeTurn(project: MixpanelProject, page: number): void {
  const { queriesPerHour, concurrentQueries, laterPagesCount } = project.settings;
  const isTooMany = (page === 0 || laterPagesCount) && project.queries.take() > 0;
  if (!isTooMany && project.running <= concurrentQueries) return;
  const used = project.queries.count + (isTooMany ? 1 : 0);
  throw new RefusedQueryError(
    `Query rate limit exceeded for project_id: ${project.id}. ${project.running}/${concurrentQueries} queries running concurrently and ${used}/${queriesPerHour} queries running in the last hour. For more information, please consult our documentation at https://developer.mixpanel.com/reference/rate-limits`,
    429,
  );
}

function listCohorts(project: MixpanelProject): unknown[] {
  return [...project.cohorts.values()].map((cohort) => ({
    id: cohort.id,
    project_id: Number(project.id),
    name: cohort.name,
    description: cohort.description,
    data_group_id: cohort.isGroup ? DATA_GROUP_ID : null,
    count: cohort.members.count,
    is_visible: 1,
    created: '2026-01-05 09:30:00',
  }));
}

/** What an account sees: maps by id, of which a project of the sandbox has one each. */
function describeMe({ id }: MixpanelProject): unknown {
  const entry = { [id]: { id: Number(id), name: `Sandbox ${id}` } };
  return { status: 'ok', results: { organizations: entry, workspaces: entry, projects: entry } };
}
