import { z } from 'zod';
import type { Control, ControlTarget } from './control.ts';
import type { CohortOptions, MixpanelProject, SandboxCohort } from './mixpanel/project.ts';
import { type PushOptions, pushCohort } from './mixpanel/push.ts';

/** Ids come as numbers in bodies and as text in queries. */
const id = z.union([z.int(), z.string()]).transform(String);

const settings = z
  .strictObject({
    queriesPerHour: z.int(),
    concurrentQueries: z.int(),
    defaultPageSize: z.int(),
    laterPagesCount: z.boolean(),
    sessionLifeMs: z.number(),
    totalOnFirstPageOnly: z.boolean(),
    totalError: z.int(),
    workspaceId: z.string().nullable(),
    hasApi: z.boolean(),
    keepsSnapshots: z.boolean(),
    idMerge: z.enum(['ORIGINAL', 'SIMPLIFIED']),
    importAllowed: z.boolean(),
    maxImportBytes: z.int(),
    insertIdSpelling: z.enum(['insert_id', '$insert_id']),
    namesFailures: z.boolean(),
    tellsIndex: z.boolean(),
    refusedEvents: z.array(
      z.strictObject({ insertId: z.string().optional(), event: z.string().optional(), message: z.string() }),
    ),
    liesAbout: z.int(),
    keepsEvents: z.boolean(),
  })
  .partial();

const member = z.object({ distinctId: z.string(), properties: z.record(z.string(), z.unknown()).optional() });
/** count people made up from a prefix, without a list of them. */
const crowd = z.object({ count: z.int(), prefix: z.string() });
const members = z.union([z.array(member), crowd]).transform((given): CohortOptions['members'] => {
  if (Array.isArray(given))
    return given.map(({ distinctId, properties }) =>
      properties ? { distinctId, properties } : { distinctId },
    );
  const { count, prefix } = given;
  return {
    count,
    member: (index) => ({
      distinctId: `${prefix}-${index}`,
      properties: { $email: `${prefix}.${index}@example.com` },
    }),
  };
});

type Options = Parameters<ControlTarget['mixpanel']['addProject']>[0];

const newProject = settings.extend({
  id: z.string().optional(),
  region: z.enum(['US', 'EU', 'IN']).optional(),
  token: z.string().optional(),
  secret: z.string().optional(),
});
const ofProject = z.object({ project: id });
const month = z.string().regex(/^\d{4}-\d{2}$/);
const ofCohort = ofProject.extend({ cohortId: z.coerce.number() });
const newCohort = ofProject.extend({
  id: z.int().optional(),
  name: z.string(),
  description: z.string().optional(),
  isGroup: z.boolean().optional(),
  members,
});

const push = ofCohort.extend({
  url: z.string(),
  username: z.string(),
  password: z.string(),
  isShuffled: z.boolean().optional(),
  isRepeated: z.boolean().optional(),
  leaveOut: z.int().optional(),
  firstWaitMs: z.number().optional(),
});

/** So many of the events that were imported last are shown. */
const SHOWN_EVENTS = 100;

const done = { ok: true };

export const mixpanelControls: Record<string, Control> = {
  'POST /_control/mixpanel/projects': ({ mixpanel }, input) => {
    const project = mixpanel.addProject(newProject.parse(input) as Options);
    const { id, token, secret } = project;
    return { id, token, secret, serviceAccount: project.addServiceAccount() };
  },
  'PATCH /_control/mixpanel/settings': (target, input) => {
    const given = z.object({ project: id, settings }).parse(input);
    return Object.assign(findProject(target, given.project).settings, given.settings);
  },
  'POST /_control/mixpanel/revoke-accounts': (target, input) => {
    const project = findProject(target, ofProject.parse(input).project);
    for (const username of project.accounts.keys()) project.revokeServiceAccount(username);
    return { serviceAccount: project.addServiceAccount() };
  },
  'POST /_control/mixpanel/cohorts': (target, input) => {
    const { project, ...cohort } = newCohort.parse(input);
    return { id: findProject(target, project).addCohort(cohort as CohortOptions).id };
  },
  'PATCH /_control/mixpanel/cohorts': (target, input) => {
    const given = ofCohort
      .extend({ name: z.string().optional(), keep: z.int().nonnegative().optional() })
      .parse(input);
    const project = findProject(target, given.project);
    const cohort = findCohort(project, given.cohortId);
    if (given.name !== undefined) cohort.name = given.name;
    const { count, member } = cohort.members;
    if (given.keep !== undefined)
      project.setMembers(cohort.id, { count: Math.min(given.keep, count), member });
    return done;
  },
  'DELETE /_control/mixpanel/cohorts': (target, input) => {
    const given = ofCohort.parse(input);
    findProject(target, given.project).deleteCohort(given.cohortId);
    return done;
  },
  'PUT /_control/mixpanel/members': (target, input) => {
    const given = ofCohort.extend({ members }).parse(input);
    const project = findProject(target, given.project);
    project.setMembers(findCohort(project, given.cohortId).id, given.members);
    return done;
  },
  'POST /_control/mixpanel/push': (target, input) => {
    const { project: projectId, cohortId, url, username, password, ...options } = push.parse(input);
    const project = findProject(target, projectId);
    const cohort = findCohort(project, cohortId);
    return pushCohort(project, cohort, { url, username, password }, options as PushOptions);
  },
  'GET /_control/mixpanel/events': (target, input) => {
    const given = ofProject.extend({ month: month.optional() }).parse(input);
    const { settings, imported } = findProject(target, given.project);
    return {
      accepted: imported.accepted,
      distinct: settings.keepsEvents ? imported.distinct().length : null,
      ...(given.month === undefined ? {} : { mtus: imported.mtus(given.month) }),
      events: imported.all.slice(-SHOWN_EVENTS),
    };
  },
};

function findProject({ mixpanel }: ControlTarget, projectId: string): MixpanelProject {
  const project = mixpanel.projects.find((one) => one.id === projectId);
  if (!project) throw new Error('There is no such Mixpanel project.');
  return project;
}

function findCohort(project: MixpanelProject, cohortId: number): SandboxCohort {
  const cohort = project.cohorts.get(cohortId);
  if (!cohort) throw new Error('There is no such cohort.');
  return cohort;
}
