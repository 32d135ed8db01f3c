import { getIntrospectionQuery } from 'graphql';
import { callGraphql, inTurns } from './raw-http.ts';
import { atMost, type Target, type Told } from './target.ts';

const PATIENCE_MS = 60_000;

/** Pages in pages in pages, several at a time. */
export async function nestedPages(target: Target, { operations = 18, atOnce = 6 } = {}): Promise<Told> {
  const told: Told = {};
  const query = `{ exports(first: 100) { edges { node { runs(first: 20) { edges { node {
    members(first: 1) { totalCount } } } } } } } }`;
  await atMost(
    PATIENCE_MS,
    inTurns(operations, atOnce, () => callGraphql(target, { query }, told)),
  );
  return told;
}

/** A question about a month, by so many aliases. */
export async function manyWhatIfs(
  target: Target,
  { operations = 40, atOnce = 10, aliases = 450 } = {},
): Promise<Told> {
  const told: Told = {};
  const month = new Date().toISOString().slice(0, 7);
  const questions = Array.from(
    { length: aliases },
    (_, index) => `a${index}: whatIf(event: "e${index}") { users }`,
  );
  const query = `{ messagingUsage(month: "${month}") { ${questions.join(' ')} } }`;
  await atMost(
    PATIENCE_MS,
    inTurns(operations, atOnce, () => callGraphql(target, { query }, told)),
  );
  return told;
}

/** The whole schema, by so many aliases. */
export async function repeatedIntrospection(
  target: Target,
  { operations = 16, atOnce = 4, aliases = 200 } = {},
): Promise<Told> {
  const told: Told = {};
  const text = getIntrospectionQuery();
  const fragmentsAt = text.indexOf('fragment FullType');
  const schema = text.slice(
    text.indexOf('__schema ') + '__schema '.length,
    text.lastIndexOf('}', fragmentsAt),
  );
  const fields = Array.from({ length: aliases }, (_, index) => `a${index}: __schema { ...Whole }`);
  const query = `{ ${fields.join(' ')} } fragment Whole on __Schema ${schema} ${text.slice(fragmentsAt)}`;
  await atMost(
    PATIENCE_MS,
    inTurns(operations, atOnce, () => callGraphql(target, { query }, told)),
  );
  return told;
}
