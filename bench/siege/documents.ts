import { callGraphql, inTurns } from './raw-http.ts';
import type { Target, Told } from './target.ts';

/** Documents that are large by a comment, each with another one. */
export async function largeDocuments(target: Target, { count = 250, bytes = 900_000 } = {}): Promise<Told> {
  const told: Told = {};
  const comment = 'x'.repeat(bytes);
  await inTurns(count, 8, (index) =>
    callGraphql(target, { query: `{ viewer { role } }\n# ${index} ${comment}` }, told),
  );
  return told;
}

/** Documents of as many operations as the bound of tokens lets through, each with other names. */
export async function manyOperations(
  target: Target,
  { documents = 91, operations = 1_600 } = {},
): Promise<Told> {
  const told: Told = {};
  await inTurns(documents, 8, (document) => {
    const names = Array.from({ length: operations }, (_, index) => `d${document}o${index}`);
    const query = names.map((name) => `query ${name}{__typename}`).join('\n');
    return callGraphql(target, { query, operationName: names[0]! }, told);
  });
  return told;
}
