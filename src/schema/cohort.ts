import type { FileReading as FileReadingValue } from '../../db/json-columns.ts';
import { cohortWarning, importCohort, readCohorts, readExportOfCohort } from '../resolvers/cohort.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { pageOfProject } from './costs.ts';
import { CohortSource, FileFormat, Provider } from './enums.ts';
import { findRow } from './global-id.ts';
import { pageArgs } from './page-args.ts';
import { Cohort, CohortConnection, Export } from './refs.ts';
import { nameRule } from './rules.ts';
import { reads, wantedOf } from './selection.ts';

const FileReading = builder.objectRef<FileReadingValue>('FileReading').implement({
  description: 'How a file of members was understood.',
  fields: (t) => ({
    format: t.expose('format', { type: FileFormat, description: 'What it was taken for.' }),
    delimiter: t.exposeString('delimiter', {
      nullable: true,
      description: 'The character between the columns of a CSV; null for NDJSON.',
    }),
    columns: t.exposeStringList('columns', {
      description: 'The columns that are used, in lower case; of NDJSON the keys.',
    }),
    ignoredColumns: t.exposeStringList('ignoredColumns', {
      description:
        'Columns, or keys of NDJSON, that are not used: the first hundred, each cut at 100 characters.',
    }),
    rows: t.exposeInt('rows', { description: 'Rows that name somebody.' }),
    emptyRows: t.exposeInt('emptyRows', { description: 'Rows of a CSV whose cells are all empty.' }),
    repeatedRows: t.exposeInt('repeatedRows', {
      description: 'Rows that were left out because an earlier one has their distinct_id.',
    }),
  }),
});

builder.node(Cohort, {
  description: 'A named group of people that a source tells of.',
  id: { resolve: (cohort) => cohort.id },
  fields: (t) => ({
    source: t.expose('source', { type: CohortSource, description: 'Where its people come from.' }),
    externalId: t.exposeString('external_id', {
      description: "The cohort's id in Mixpanel, or our own for a file.",
    }),
    name: t.exposeString('name', { description: 'As the source calls it now.' }),
    description: t.exposeString('description', {
      nullable: true,
      description: 'As the source describes it.',
    }),
    memberCount: t.exposeInt('member_count', {
      nullable: true,
      description: 'As last reported by the source; approximate.',
    }),
    exportable: t.exposeBoolean('exportable', {
      description: 'False for what Mixpanel cannot export (group cohorts).',
    }),
    refreshedAt: t.expose('refreshed_at', {
      type: 'DateTime',
      description: 'When the source last told of it.',
    }),
    present: t.exposeBoolean('present', { description: 'False once the source no longer lists it.' }),
    lastReceivedAt: t.expose('last_received_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When Mixpanel last pushed anything of it, to the second; null for other sources.',
    }),
    warning: t.string({
      nullable: true,
      description:
        'What the source sent that could not be used, and why its members may not be up to date: people of a file or push who were left out, a push that came only in part, nothing pushed for an hour. Null when all is well.',
      extensions: reads({ cohort: ['last_received_at', 'source_note'] }),
      resolve: (cohort, _args, ctx) => cohortWarning(ctx, cohort),
    }),
    file: t.expose('file_reading', {
      type: FileReading,
      nullable: true,
      description:
        'How its file was understood; null for other sources, and for files from before this was noted.',
    }),
    export: t.field({
      type: Export,
      nullable: true,
      description: 'Its export to this provider; null before the first startSync.',
      args: {
        provider: t.arg({ type: Provider, required: true, defaultValue: 'ITERABLE', description: 'Which.' }),
      },
      extensions: reads({ follow: true }),
      resolve: (cohort, { provider }, ctx) => readExportOfCohort(ctx, cohort, provider),
    }),
  }),
});

builder.queryFields((t) => ({
  cohorts: t.field({
    type: CohortConnection,
    nullable: true,
    authScopes: READ,
    complexity: pageOfProject,
    description: 'The cohorts of the project, by name.',
    args: {
      ...pageArgs(t.arg),
      search: t.arg.string({
        description: 'Part of the name, whatever its case.',
        validate: {
          maxLength: [200, { message: 'must have at most 200 characters.' }],
          refine: [(text) => !text.includes('\0'), { message: 'must not hold the character NUL.' }],
        },
      }),
      source: t.arg({ type: [CohortSource], description: 'Only those of one of these sources.' }),
    },
    resolve: (_root, args, ctx, info) => readCohorts(ctx, args, wantedOf(info)),
  }),
  cohort: t.field({
    type: Cohort,
    nullable: true,
    authScopes: READ,
    description: 'One cohort; null when the project has none with this id.',
    args: { id: t.arg.id({ required: true, description: 'The id of the cohort.' }) },
    resolve: (_root, { id }, ctx) => findRow(ctx, 'Cohort', id),
  }),
}));

const ImportCohortInput = builder.inputType('ImportCohortInput', {
  description: 'A cohort from a file.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description: '1 to 200 characters; the same name again replaces the members.',
      validate: { schema: nameRule },
    }),
    file: t.field({
      type: 'File',
      required: true,
      description:
        'CSV with a header row (comma, semicolon or tab), or NDJSON; UTF-8, or UTF-16 with a byte order mark. Columns or keys: distinct_id or $distinct_id, email or $email, iterable_user_id or $iterable_user_id, whatever their case; others are ignored. A row needs a distinct_id or an e-mail, which then stands for it.',
    }),
  }),
});

builder.mutationField('importCohort', (t) =>
  t.field({
    type: Cohort,
    nullable: true,
    authScopes: CHANGE,
    description:
      'A cohort from a CSV or NDJSON file; the same name again replaces its members, and runs its dynamic export. A bad line is BAD_USER_INPUT with its number; then the old members stay.',
    args: { input: t.arg({ type: ImportCohortInput, required: true, description: 'Name and file.' }) },
    resolve: (_root, { input }, ctx) => importCohort(ctx, input),
  }),
);
