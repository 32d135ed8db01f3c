import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { SandboxReply } from '../http.ts';
import { badParams, done, ok, refuse, refuseEmail } from './answers.ts';
import { type IdentifierKind, type IterableProjectType, isEmail, isUserId } from './identity.ts';
import type { IterableProject } from './project.ts';
import { perSecond, route } from './route.ts';

const LIMITS = [...perSecond(3), { count: 1_000, windowMs: 24 * 3_600_000 }];

/** Which identifiers people are forgotten by. */
const KINDS: Record<IterableProjectType, readonly IdentifierKind[]> = {
  EMAIL: ['email'],
  USER_ID: ['userId'],
  HYBRID: ['email', 'userId'],
};

const user = z.object({ email: z.string().optional(), userId: z.string().optional() });

export const forgottenUserRoutes = [
  route({
    name: 'forgetUser',
    method: 'POST',
    path: '/api/users/forget',
    limits: LIMITS,
    body: user,
    answer: ({ project, input }) =>
      ofUser(project, input, (kind, identifier) => project.forgetUsers(kind, identifier)),
  }),
  route({
    name: 'unforgetUser',
    method: 'POST',
    path: '/api/users/unforget',
    limits: LIMITS,
    body: user,
    answer: ({ project, input }) =>
      ofUser(project, input, (kind, identifier) => project.users.unforget(kind, identifier)),
  }),
  route({
    name: 'forgottenEmails',
    method: 'GET',
    path: '/api/users/forgotten',
    limits: perSecond(3),
    answer: ({ project }) => list(project, 'email', 'hashedEmails'),
  }),
  route({
    name: 'forgottenUserIds',
    method: 'GET',
    path: '/api/users/forgottenUserIds',
    limits: perSecond(3),
    answer: ({ project }) => list(project, 'userId', 'hashedUserIds'),
  }),
];

/** Acts on the one identifier that is given. */
function ofUser(
  project: IterableProject,
  given: z.output<typeof user>,
  act: (kind: IdentifierKind, identifier: string) => void,
): SandboxReply {
  const kinds = KINDS[project.type];
  const kind = kinds.find((one) => given[one] !== undefined);
  if (!kind) return badParams(`${kinds.join(' or ')} is required in this project`);
  const identifier = given[kind]!.trim();
  if (kind === 'email' && !isEmail(identifier)) return refuseEmail(identifier);
  if (kind === 'userId' && !isUserId(identifier)) {
    return refuse(400, 'InvalidUserIdError', `Invalid userId: ${identifier}`);
  }
  act(kind, identifier);
  return done();
}

function list(project: IterableProject, kind: IdentifierKind, name: string): SandboxReply {
  if (!KINDS[project.type].includes(kind)) return badParams(`Users of this project have no ${kind}`);
  return ok({ [name]: project.users.forgotten(kind).map(hash) });
}

function hash(identifier: string): string {
  return createHash('sha256').update(identifier.trim().toLowerCase()).digest('hex');
}
