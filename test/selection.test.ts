import { type GraphQLObjectType, getNamedType, isLeafType } from 'graphql';
import pg from 'pg';
import { expect, test } from 'vitest';
import { buildSchema } from '../src/schema/schema.ts';
import { furnish } from './support/furnish.ts';
import { wholeSelectionOf } from './support/schema-calls.ts';
import { startTestApp } from './support/test-app.ts';

const schema = buildSchema();

/** Each field of a type by itself, so that no other field's columns are read for it. */
function selectionsOf(typeName: string): string[] {
  const type = schema.getType(typeName) as GraphQLObjectType;
  return Object.values(type.getFields()).map((field) => {
    if (isLeafType(getNamedType(field.type))) return field.name;
    return `${field.name} { ${wholeSelectionOf(field.type, [typeName])} }`;
  });
}

/** By way of which pages rows are read with no more columns than are asked for, and how one of them is read whole. */
const WAYS: Record<string, { whole: string; pages: string[] }> = {
  Cohort: {
    whole: 'cohort(id: $Cohort)',
    pages: ['cohorts(first: 1).edges.node', 'exports(first: 1).edges.node.cohort'],
  },
  Export: {
    whole: 'export(id: $Export)',
    pages: [
      'exports(first: 1).edges.node',
      'cohorts(first: 1).edges.node.export',
      'integration(provider: ITERABLE).exports(first: 1).edges.node',
      'cohorts(first: 1).edges.node.export.lastRun.export',
    ],
  },
  SyncRun: {
    whole: 'syncRun(id: $SyncRun)',
    pages: [
      'syncRuns(first: 1).edges.node',
      'exports(first: 1).edges.node.runs(first: 1).edges.node',
      'exports(first: 1).edges.node.lastRun',
      'cohorts(first: 1).edges.node.export.lastRun',
    ],
  },
  Integration: {
    whole: 'integration(provider: ITERABLE)',
    pages: ['exports(first: 1).edges.node.integration', 'cohorts(first: 1).edges.node.export.integration'],
  },
};

/** So that a column which was not read cannot look like one that is empty. */
const FILL = `
  update cohorts set description = 'Described', last_received_at = '2029-12-31', source_note = 'A note.', file_reading = '{"format":"CSV","delimiter":",","columns":["email"],"ignoredColumns":[],"rows":1,"emptyRows":2,"repeatedRows":3}';
  update exports set kept_count = 3, list_name = 'another';
  update sync_runs set error_code = 'INTERNAL', error_message = 'Why.', error_retryable = true, notices = '{one,two}',
    pending_removals = 4, requests_sent = 5, started_by = 'somebody', cancel_requested_at = '2029-12-30', cancel_requested_by = 'somebody else',
    notice_details = '[{"code":"OTHER","message":"one","count":1},{"code":"OTHER","message":"two","count":null}]',
    wait_reason = 'RETRY', wait_until = '2029-12-31'`;

const VARIABLES = ['Cohort', 'Export', 'SyncRun'];

test.each(Object.entries(WAYS))(
  'every field of %s is the same in a page as of the object itself',
  async (typeName, { whole, pages }) => {
    await using app = await startTestApp();
    const { ids } = await furnish(app, app.api, 'mark');
    const client = new pg.Client({ connectionString: app.database.url });
    await client.connect();
    await client.query(FILL);
    await client.end();
    const read = async (path: string, selection: string) => {
      const steps = path.split('.');
      const used = VARIABLES.filter((name) => path.includes(`$${name}`));
      const query = `query ${used.length === 0 ? '' : `(${used.map((name) => `$${name}: ID!`)})`} {
      ${steps.join(' { ')} { ${selection} } ${'}'.repeat(steps.length)}`;
      const data = await app.api.query(
        query,
        Object.fromEntries(used.map((name) => [name, ids[name as 'Cohort']])),
      );
      return steps.reduce((value, step) => {
        const found = value[step.split('(')[0]!];
        return Array.isArray(found) ? found[0] : found;
      }, data);
    };
    const different: string[] = [];
    for (const selection of selectionsOf(typeName)) {
      const expected = await read(whole, selection);
      for (const path of pages) {
        const found = await read(path, selection);
        if (JSON.stringify(found) !== JSON.stringify(expected)) different.push(`${path} ${selection}`);
      }
    }
    expect(different).toEqual([]);
  },
);
