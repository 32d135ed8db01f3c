import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import type { CallLog } from './calls.ts';
import type { Faults } from './faults.ts';
import { type SandboxRequest, sendReply } from './http.ts';
import type { IterableProject } from './iterable/project.ts';
import type { MixpanelProject } from './mixpanel/project.ts';
import type { Sandbox } from './start-sandbox.ts';

export type ControlTarget = Pick<Sandbox, 'iterable' | 'mixpanel'> & { calls: CallLog; faults: Faults };

const fault = z.object({
  operation: z.string(),
  page: z.int().optional(),
  skip: z.int().optional(),
  times: z.int().optional(),
  delayMs: z.number().optional(),
  reply: z
    .object({
      status: z.int(),
      body: z.unknown().optional(),
      headers: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  drop: z.enum(['before', 'after', 'middle']).optional(),
  hang: z.boolean().optional(),
  hangAfter: z.boolean().optional(),
});

const member = z.object({ distinctId: z.string(), properties: z.record(z.string(), z.unknown()).optional() });
const members = z.union([z.array(member), z.object({ count: z.int(), prefix: z.string() })]);

/** The sandbox's controls for other processes: JSON in, JSON out; README.md lists them. */
export async function serveControl(
  target: ControlTarget,
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  try {
    const body: unknown = request.body.trim() === '' ? {} : JSON.parse(request.body);
    const result = act(target, `${request.method} ${request.path}`, body, request.query);
    if (result === undefined)
      sendReply(response, { status: 404, body: { error: 'There is no such control.' } });
    else sendReply(response, { status: 200, body: result });
  } catch (error) {
    sendReply(response, {
      status: 400,
      body: { error: error instanceof Error ? error.message : String(error) },
    });
  }
}

function act(target: ControlTarget, call: string, body: unknown, query: URLSearchParams): unknown {
  switch (call) {
    case 'POST /_control/iterable/projects': {
      const options = z
        .looseObject({
          type: z.enum(['EMAIL', 'USER_ID', 'HYBRID']),
          dataCenter: z.enum(['US', 'EU']).optional(),
        })
        .parse(body);
      const project = target.iterable.addProject(options as Parameters<typeof target.iterable.addProject>[0]);
      return { id: project.id, apiKey: project.addKey(), readOnlyApiKey: project.addKey({ readOnly: true }) };
    }
    case 'GET /_control/iterable/list': {
      const project = iterable(target, query.get('project'));
      const name = query.get('name') ?? '';
      const list = project.list(name);
      return list
        ? { id: list.id, name, listType: list.listType, members: project.membersOf(name) }
        : { id: null };
    }
    case 'POST /_control/mixpanel/projects': {
      const project = target.mixpanel.addProject(body as Parameters<typeof target.mixpanel.addProject>[0]);
      return { id: project.id, serviceAccount: project.addServiceAccount() };
    }
    case 'POST /_control/mixpanel/cohorts': {
      const given = z
        .object({
          project: z.string(),
          id: z.int().optional(),
          name: z.string(),
          description: z.string().optional(),
          isGroup: z.boolean().optional(),
          members,
        })
        .parse(body);
      const { project, members: people, id, description, isGroup, name } = given;
      const cohort = mixpanel(target, project).addCohort({
        name,
        members: toMembers(people),
        ...(id === undefined ? {} : { id }),
        ...(description === undefined ? {} : { description }),
        ...(isGroup === undefined ? {} : { isGroup }),
      });
      return { id: cohort.id };
    }
    case 'PUT /_control/mixpanel/members': {
      const given = z.object({ project: z.string(), cohortId: z.int(), members }).parse(body);
      mixpanel(target, given.project).setMembers(given.cohortId, toMembers(given.members));
      return { ok: true };
    }
    case 'POST /_control/faults':
      target.faults.add(fault.parse(body) as Parameters<Faults['add']>[0]);
      return { ok: true };
    case 'DELETE /_control/faults':
      target.faults.clear();
      return { ok: true };
    case 'GET /_control/calls':
      return { calls: target.calls.all, complaints: target.calls.complaints };
    case 'DELETE /_control/calls':
      target.calls.clear();
      return { ok: true };
    default:
      return undefined;
  }
}

/** count people made up from a prefix, without a list of them. */
function toMembers(given: z.infer<typeof members>): Parameters<MixpanelProject['setMembers']>[1] {
  if (!Array.isArray(given)) {
    const { count, prefix } = given;
    return {
      count,
      member: (index) => ({
        distinctId: `${prefix}-${index}`,
        properties: { $email: `${prefix}.${index}@example.com` },
      }),
    };
  }
  return given.map(({ distinctId, properties }) =>
    properties ? { distinctId, properties } : { distinctId },
  );
}

function iterable(target: ControlTarget, id: string | null): IterableProject {
  const project = target.iterable.projects.find((one) => id === null || String(one.id) === id);
  if (!project) throw new Error('There is no such Iterable project.');
  return project;
}

function mixpanel(target: ControlTarget, id: string): MixpanelProject {
  const project = target.mixpanel.projects.find((one) => one.id === id);
  if (!project) throw new Error('There is no such Mixpanel project.');
  return project;
}
