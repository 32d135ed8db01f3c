import { buildSchema } from './src/schema/schema.ts';
import { complexityFromQuery } from '@pothos/plugin-complexity';
import { callOf, rootFieldsOf, wholeSelectionOf } from './test/support/schema-calls.ts';
const schema = buildSchema();
const cost = (q: string, variables = {}) => complexityFromQuery(q, { schema, ctx: {} as never, variables });
for (const root of rootFieldsOf(schema).filter((r) => r.name !== 'importCohort')) { const c = callOf(root, { selection: wholeSelectionOf(root.field.type) || undefined } as never); console.log(root.kind, root.name, JSON.stringify(cost(c.query, c.variables))); }
const d = (n: number) => `{ integrations { provider status } cohorts(first: ${n}) { totalCount edges { cursor node { id name memberCount export { id status listName listSize nextRunAt delay { reason } lastRun { id status counts { members added unchanged removed rejected notProcessed pendingRemovals requestsSent } finishedAt } } } } pageInfo { hasNextPage endCursor } } }`;
const s = (n: number) => `{ exports(first: ${n}) { totalCount edges { cursor node { id status listName listSize nextRunAt delay { reason } cohort { id name memberCount } integration { id provider status } runs(first: 5) { edges { node { id status finishedAt counts { members added rejected } rejectedByReason { reason count } } } } } } } }`;
for (const n of [20, 100]) console.log('dash', n, cost(d(n)).complexity, 'second', n, cost(s(n)).complexity);
console.log('siege', cost('{ exports(first: 100) { edges { node { runs(first: 20) { edges { node { members(first: 1) { totalCount } } } } } } } }').complexity);
