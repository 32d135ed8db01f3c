import { z } from 'zod';
import type { Control, ControlTarget } from './control.ts';
import { sendByControl, webhookTarget } from './control-webhook.ts';
import type { IterableProject, SandboxList } from './iterable/project.ts';

/** Ids come as numbers in bodies and as text in queries. */
const id = z.union([z.int(), z.string()]).transform(String);
const bucket = z.enum(['invalid', 'notFound', 'forgotten', 'conflict', 'invalidData']);

const settings = z
  .strictObject({
    visibilityDelayMs: z.number(),
    unknownAfterCreateMs: z.number(),
    maxBatch: z.int(),
    writesPerSecond: z.number(),
    answerStyle: z.enum(['2021', '2026']),
    unnamedFailures: z.array(z.string()),
    refusesDuplicateNames: z.boolean(),
    refusals: z.array(z.object({ identifier: z.string(), bucket, named: z.string().optional() })),
    webhook: webhookTarget.nullable(),
  })
  .partial();

type Options = Parameters<ControlTarget['iterable']['addProject']>[0];

const newProject = settings.extend({
  type: z.enum(['EMAIL', 'USER_ID', 'HYBRID']),
  dataCenter: z.enum(['US', 'EU']).optional(),
});
const ofProject = z.object({ project: id });
const ofList = ofProject.extend({ name: z.string() });

const done = { ok: true };

export const iterableControls: Record<string, Control> = {
  'POST /_control/iterable/projects': ({ iterable }, input) => {
    const project = iterable.addProject(newProject.parse(input) as Options);
    return { id: project.id, apiKey: project.addKey(), readOnlyApiKey: project.addKey({ readOnly: true }) };
  },
  'PATCH /_control/iterable/settings': (target, input) => {
    const given = z.object({ project: id, settings }).parse(input);
    return Object.assign(findProject(target, given.project).settings, given.settings);
  },
  'POST /_control/iterable/revoke-keys': (target, input) => {
    const project = findProject(target, ofProject.parse(input).project);
    for (const key of project.keys.keys()) project.revokeKey(key);
    return { apiKey: project.addKey() };
  },
  'POST /_control/iterable/forget': (target, input) => {
    const given = ofProject.extend({ identifier: z.string() }).parse(input);
    const kind = given.identifier.includes('@') ? 'email' : 'userId';
    findProject(target, given.project).forgetUsers(kind, given.identifier);
    return done;
  },
  'POST /_control/iterable/list': (target, input) => {
    const given = ofList
      .extend({ listType: z.enum(['Standard', 'Dynamic', 'Suppression', 'Internal']).default('Standard') })
      .parse(input);
    return { id: findProject(target, given.project).addList(given.name, given).id };
  },
  'GET /_control/iterable/list': (target, input) => {
    const given = ofList.parse(input);
    const project = findProject(target, given.project);
    const list = project.list(given.name);
    if (!list) return { id: null };
    return { id: list.id, name: list.name, listType: list.listType, members: project.membersOf(given.name) };
  },
  'DELETE /_control/iterable/list': (target, input) => {
    const given = ofList.parse(input);
    const project = findProject(target, given.project);
    project.deleteList(findList(project, given.name).id);
    return done;
  },
  'PUT /_control/iterable/member': (target, input) => {
    const given = ofList
      .extend({ email: z.string().optional(), userId: z.string().optional(), isMember: z.boolean() })
      .parse(input);
    const project = findProject(target, given.project);
    const { email, userId } = given;
    const profile =
      project.users.find(email ?? userId ?? '') ??
      project.users.add({ ...(email ? { email } : {}), ...(userId ? { userId } : {}) });
    project.setMember(findList(project, given.name), profile, given.isMember);
    return done;
  },
  'POST /_control/iterable/events': (target, input) => {
    const { project, ...sending } = ofProject.loose().parse(input);
    return sendByControl(target, findProject(target, project), sending);
  },
};

function findProject({ iterable }: ControlTarget, projectId: string): IterableProject {
  const project = iterable.projects.find((one) => String(one.id) === projectId);
  if (!project) throw new Error('There is no such Iterable project.');
  return project;
}

function findList(project: IterableProject, name: string): SandboxList {
  const list = project.list(name);
  if (!list) throw new Error('There is no such list.');
  return list;
}
