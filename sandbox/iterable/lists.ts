import { z } from 'zod';
import { badParams, done, invalidListId, ok, refuse, text } from './answers.ts';
import type { Profile } from './identity.ts';
import { type IterableProject, type SandboxList, visibleMembers } from './project.ts';
import { perSecond, route } from './route.ts';

/** Of each of the reads of a list. */
const FIVE_A_MINUTE = [{ count: 5, windowMs: 60_000 }];

/** An int64 in a query or a path. */
const listId = z.string().regex(/^\d+$/).transform(Number);
const preferUserId = z
  .enum(['true', 'false'])
  .default('false')
  .transform((given) => given === 'true');
const MAX_PREVIEW = 5_000;

export const listRoutes = [
  route({
    name: 'listLists',
    method: 'GET',
    path: '/api/lists',
    limits: perSecond(100),
    answer: ({ project }) => ok({ lists: [...project.lists.values()].reverse().map(toRow) }),
  }),
  route({
    name: 'createList',
    method: 'POST',
    path: '/api/lists',
    body: z.object({ name: z.string(), description: z.string().optional() }),
    answer({ project, input: { name, description } }) {
      if (name === '') return badParams('name is required');
      if (project.settings.refusesDuplicateNames && project.list(name)) {
        return badParams('A list with this name exists');
      }
      return ok({ listId: project.addList(name, { description }).id });
    },
  }),
  route({
    name: 'deleteList',
    method: 'DELETE',
    path: '/api/lists/{listId}',
    params: z.object({ listId }),
    details: ({ listId }) => ({ listId }),
    answer({ project, input: { listId } }) {
      const list = project.lists.get(listId);
      if (!list) return invalidListId(project.id, listId);
      if (list.isInUse) return refuse(409, 'Conflict', 'List is in use by a journey or campaign');
      project.deleteList(listId);
      return done(`List ${listId} in Project ${project.id} was successfully deleted.`);
    },
  }),
  route({
    name: 'size',
    method: 'GET',
    path: '/api/lists/{listId}/size',
    limits: FIVE_A_MINUTE,
    params: z.object({ listId }),
    details: ({ listId }) => ({ listId }),
    answer({ project, input: { listId }, clock }) {
      const list = project.lists.get(listId);
      if (!list) return invalidListId(project.id, listId);
      return text(String(visibleMembers(list, clock.now()).size));
    },
  }),
  route({
    name: 'getUsers',
    method: 'GET',
    path: '/api/lists/getUsers',
    limits: FIVE_A_MINUTE,
    params: z.object({ listId, preferUserId }),
    details: ({ listId }) => ({ listId }),
    answer({ project, input: { listId, preferUserId }, clock }) {
      const list = project.lists.get(listId);
      if (!list) return invalidListId(project.id, listId);
      return text(toLines(project, visibleMembers(list, clock.now()), preferUserId));
    },
  }),
  route({
    name: 'previewUsers',
    method: 'GET',
    path: '/api/lists/previewUsers',
    limits: FIVE_A_MINUTE,
    params: z.object({ listId, preferUserId, size: z.coerce.number().int().min(1).default(1_000) }),
    details: ({ listId }) => ({ listId }),
    answer({ project, input: { listId, preferUserId, size }, clock }) {
      const list = project.lists.get(listId);
      if (!list) return invalidListId(project.id, listId);
      const members = [...visibleMembers(list, clock.now())].slice(0, Math.min(size, MAX_PREVIEW));
      return text(toLines(project, members, preferUserId));
    },
  }),
];

function toRow({ id, name, description, createdAt, listType }: SandboxList): object {
  return {
    id,
    name,
    description,
    createdAt,
    listType,
    ...(listType === 'Suppression' ? { isGlobalSuppressionEnabled: false } : {}),
  };
}

function toLines(project: IterableProject, members: Iterable<Profile>, preferUserId: boolean): string {
  const goesByUserId = project.type === 'USER_ID' || (project.type === 'HYBRID' && preferUserId);
  return [...members]
    .map(({ email, userId }) => `${goesByUserId ? (userId ?? email) : (email ?? userId)}\n`)
    .join('');
}
