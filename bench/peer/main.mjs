import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Fastify from 'fastify';
import mercurius from 'mercurius';
import pg from 'pg';
import { createResolvers } from './resolvers.mjs';
import { statements } from './statements.mjs';

/**
 * Mercurius as its users would set it up for the same rows: loaders, jit, named statements on a pool of ten, and tokens
 * that are looked up once in ten seconds. Prints its address when it listens, and ends with its standard input.
 */

const TOKEN_KEPT_MS = 10_000;
const MAX_TOKENS_KEPT = 1_000;

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

/** @type {import('./resolvers.mjs').Query} */
async function query(name, values) {
  return (await pool.query({ name, text: statements[name], values })).rows;
}

/** @type {Map<string, { viewer: import('./resolvers.mjs').Viewer, until: number }>} */
const tokens = new Map();

/** @param {string | undefined} authorization */
async function findViewer(authorization = '') {
  const known = tokens.get(authorization);
  if (known && known.until > Date.now()) return known.viewer;
  const secret = /^Bearer (\S+)$/.exec(authorization)?.[1] ?? '';
  const [viewer] = await query('token', [createHash('sha256').update(secret).digest()]);
  if (viewer === undefined) return undefined;
  if (tokens.size >= MAX_TOKENS_KEPT) tokens.clear();
  tokens.set(authorization, { viewer, until: Date.now() + TOKEN_KEPT_MS });
  return viewer;
}

const app = Fastify();
app.decorateRequest('viewer', null);
app.addHook('onRequest', async (request, reply) => {
  const viewer = await findViewer(request.headers.authorization);
  if (viewer === undefined) return reply.code(401).send({ errors: [{ message: 'Send a valid token.' }] });
  Object.assign(request, { viewer });
});
await app.register(mercurius, {
  schema: readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8'),
  ...createResolvers({
    query,
    queriesPerHour: Number(process.env.QUERIES_PER_HOUR),
    queriesForRuns: Number(process.env.QUERIES_FOR_RUNS),
  }),
  context: (request) => ({ viewer: request.viewer }),
  jit: 1,
});
process.stdout.write(`${await app.listen({ port: 0, host: '127.0.0.1' })}\n`);

process.stdin.resume();
process.stdin.once('end', async () => {
  await app.close();
  await pool.end();
});
