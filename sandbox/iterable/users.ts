import { z } from 'zod';
import type { SandboxReply } from '../http.ts';
import { badParams, done, ok, refuseEmail } from './answers.ts';
import { type IdentifierKind, isEmail, type Profile } from './identity.ts';
import type { IterableProject } from './project.ts';
import { perSecond, route } from './route.ts';

const byEmail = z.object({ email: z.string().min(1) });
const byUserId = z.object({ userId: z.string().min(1) });

/** Profiles, by query or by path. */
export const userRoutes = [
  ...['/api/users/getByEmail', '/api/users/{email}'].map((path) =>
    route({
      name: 'getUser',
      method: 'GET',
      path,
      limits: perSecond(100),
      params: byEmail,
      answer: ({ project, input: { email } }) =>
        isEmail(email) ? show(project, 'email', email) : refuseEmail(email),
    }),
  ),
  ...['/api/users/byUserId', '/api/users/byUserId/{userId}'].map((path) =>
    route({
      name: 'getUser',
      method: 'GET',
      path,
      limits: perSecond(100),
      params: byUserId,
      answer: ({ project, input: { userId } }) => show(project, 'userId', userId),
    }),
  ),
  route({
    name: 'deleteUser',
    method: 'DELETE',
    path: '/api/users/{email}',
    limits: perSecond(100),
    params: byEmail,
    answer({ project, input: { email } }) {
      if (project.type === 'USER_ID') return badParams('Users of this project are deleted by userId');
      if (!isEmail(email)) return refuseEmail(email);
      project.deleteUsers('email', email);
      return done();
    },
  }),
  route({
    name: 'deleteUser',
    method: 'DELETE',
    path: '/api/users/byUserId/{userId}',
    limits: perSecond(100),
    params: byUserId,
    answer({ project, input: { userId } }) {
      if (project.deleteUsers('userId', userId) === 0) {
        return badParams(`User does not exist. Email:  UserId: ${userId}`);
      }
      return done();
    },
  }),
  route({
    name: 'getFields',
    method: 'GET',
    path: '/api/users/getFields',
    limits: perSecond(3),
    answer: ({ project }) => ok({ fields: Object.fromEntries(project.fields.types) }),
  }),
];

/** Somebody unknown is an empty object. */
function show(project: IterableProject, kind: IdentifierKind, identifier: string): SandboxReply {
  const profile = project.users.findBy(kind, identifier);
  return ok(profile ? { user: toUser(project, profile) } : {});
}

/** The e-mail is always there, and empty for a profile without one. */
function toUser(project: IterableProject, profile: Profile): object {
  const { email, userId, dataFields } = profile;
  const lists = [...project.lists.values()].filter((list) => list.members.has(profile));
  return {
    email: email ?? '',
    ...(userId === undefined ? {} : { userId }),
    dataFields: {
      ...dataFields,
      ...(email === undefined ? {} : { email }),
      ...(userId === undefined ? {} : { userId }),
      [project.type === 'EMAIL' ? 'emailListIds' : 'userListIds']: lists.map((list) => list.id),
    },
  };
}
