import type { ApiTokenRow, ProjectRow } from '../../db/tables.ts';
import type { Viewer } from '../context.ts';
import { createProject, readProject } from '../resolvers/project.ts';
import { builder, OWN, READ } from './builder.ts';
import { COSTS } from './costs.ts';
import { Role } from './enums.ts';
import { ApiToken, Project } from './refs.ts';
import { nameRule } from './rules.ts';

builder.node(Project, {
  description:
    'A tenant: connections, cohorts, exports and tokens belong to one project and are seen by no other.',
  id: { resolve: (project) => project.id },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As its owner called it.' }),
  }),
});

const ViewerType = builder.objectRef<Viewer>('Viewer').implement({
  description: 'The caller: the token that was sent with the request.',
  fields: (t) => ({
    tokenName: t.exposeString('tokenName', { nullable: true, description: 'The name of the token.' }),
    role: t.expose('role', { type: Role, description: 'What the token may do.' }),
    project: t.field({
      complexity: COSTS.statement,
      type: Project,
      description: "The token's project; everything else is answered within it.",
      resolve: (_viewer, _args, ctx) => readProject(ctx),
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerType,
    authScopes: READ,
    description: 'Who calls.',
    resolve: (_root, _args, ctx) => ctx.viewer,
  }),
);

const CreateProjectInput = builder.inputType('CreateProjectInput', {
  description: 'A further project.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 200 characters.', validate: { schema: nameRule } }),
  }),
});

const CreatedProject = builder
  .objectRef<{ project: ProjectRow; apiToken: ApiTokenRow; secret: string }>('CreatedProject')
  .implement({
    description: 'A new project with its first token.',
    fields: (t) => ({
      project: t.expose('project', { type: Project, description: 'The project.' }),
      apiToken: t.expose('apiToken', { type: ApiToken, description: 'Its first token, of role OWNER.' }),
      secret: t.exposeString('secret', { description: "The token's secret; shown in this answer only." }),
    }),
  });

builder.mutationField('createProject', (t) =>
  t.field({
    type: CreatedProject,
    nullable: true,
    authScopes: OWN,
    description:
      'A further project in this deployment, with its first OWNER token. For OWNERs of the first project; FORBIDDEN otherwise.',
    args: { input: t.arg({ type: CreateProjectInput, required: true, description: 'The project.' }) },
    resolve: (_root, { input }, ctx) => createProject(ctx, input),
  }),
);
