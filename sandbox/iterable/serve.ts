import type { ServerResponse } from 'node:http';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import { type OperationContext, serveOperation } from '../serve-operation.ts';
import { htmlNotFound, invalidListId, ok, refuse, text, tooMany } from './answers.ts';
import { isEmail } from './identity.ts';
import { type IterableProject, visibleMembers } from './project.ts';
import type { EventSender } from './send-events.ts';
import { parseUpdate, updateList } from './update-list.ts';

export interface IterableContext extends OperationContext {
  projects: IterableProject[];
  /** Of the webhook. */
  sender: EventSender;
}

/** Answers as api.iterable.com (US) or api.eu.iterable.com (EU). */
export async function serveIterable(
  context: IterableContext,
  dataCenter: 'US' | 'EU',
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const { name, isWrite, details, answer } = route(context, request);
  await serveOperation(context, request, response, {
    name: `iterable.${name}`,
    details,
    answer: () => {
      if (request.query.has('api_key') || request.query.has('apiKey')) {
        context.calls.complain('the key is in the query string');
      }
      const given = request.headers['api-key'] ?? request.headers.api_key;
      const project = context.projects.find(
        (one) => one.dataCenter === dataCenter && one.keys.has(String(given)),
      );
      const key = project?.keys.get(String(given));
      const params = { ip: '127.0.0.1', endpoint: request.path };
      if (!project || !key) return refuse(401, 'BadApiKey', 'Invalid API key', params);
      if (key.isRevoked || (key.readOnly && isWrite)) {
        return refuse(401, 'BadApiKey', 'Disabled API key or insufficient privileges', params);
      }
      return answer(project);
    },
  });
}

interface Route {
  name: string;
  isWrite: boolean;
  details: { listId?: number; subscribers?: { email?: string; userId?: string }[] };
  answer: (project: IterableProject) => SandboxReply;
}

function route(context: IterableContext, request: SandboxRequest): Route {
  const { clock, calls, sender } = context;
  const { method, path, query } = request;
  const listId = Number(query.get('listId') ?? path.split('/')[3]);
  const read = (
    name: 'getUsers' | 'size' | 'previewUsers',
    show: (project: IterableProject) => SandboxReply,
  ): Route => ({
    name,
    isWrite: false,
    details: { listId },
    answer(project) {
      const waitMs = project.limits[name].take();
      if (waitMs > 0) return tooMany(path, project.id, waitMs);
      return project.lists.has(listId) ? show(project) : invalidListId(project.id, listId);
    },
  });
  const members = (project: IterableProject) => visibleMembers(project.lists.get(listId)!, clock.now());

  if (method === 'GET' && path === '/api/lists') {
    return {
      name: 'listLists',
      isWrite: false,
      details: {},
      answer(project) {
        const waitMs = project.limits.listLists.take();
        if (waitMs > 0) return tooMany(path, project.id, waitMs);
        const lists = [...project.lists.values()].reverse();
        return ok({
          lists: lists.map(({ id, name, description, createdAt, listType }) => ({
            id,
            name,
            description,
            createdAt,
            listType,
          })),
        });
      },
    };
  }
  if (method === 'POST' && path === '/api/lists') {
    return {
      name: 'createList',
      isWrite: true,
      details: {},
      answer(project) {
        const { name, description } = (parseJson(request.body) ?? {}) as Record<string, unknown>;
        if (typeof name !== 'string' || name === '') return refuse(400, 'BadParams', 'name is required');
        if (project.settings.refusesDuplicateNames && project.list(name)) {
          return refuse(400, 'BadParams', 'A list with this name exists');
        }
        const text = typeof description === 'string' ? description : undefined;
        return ok({ listId: project.addList(name, { description: text }).id });
      },
    };
  }
  if (method === 'DELETE' && /^\/api\/lists\/\d+$/.test(path)) {
    return {
      name: 'deleteList',
      isWrite: true,
      details: { listId },
      answer(project) {
        const list = project.lists.get(listId);
        if (!list) return invalidListId(project.id, listId);
        if (list.isInUse) return refuse(409, 'Conflict', 'List is in use by a journey or campaign');
        project.deleteList(listId);
        return refuse(200, 'Success', `List ${listId} in Project ${project.id} was successfully deleted.`);
      },
    };
  }
  if (method === 'GET' && /^\/api\/lists\/\d+\/size$/.test(path)) {
    return read('size', (project) => text(String(members(project).size)));
  }
  if (method === 'GET' && (path === '/api/lists/getUsers' || path === '/api/lists/previewUsers')) {
    const preferUserId = query.get('preferUserId') === 'true';
    const name = path.endsWith('getUsers') ? 'getUsers' : 'previewUsers';
    const size = name === 'getUsers' ? undefined : Math.min(5000, Number(query.get('size') ?? 1000));
    return read(name, (project) => {
      const lines = [...members(project)]
        .slice(0, size)
        .map((profile) =>
          project.type === 'USER_ID' || (project.type === 'HYBRID' && preferUserId)
            ? (profile.userId ?? profile.email)
            : (profile.email ?? profile.userId),
        );
      return text(lines.map((line) => `${line}\n`).join(''));
    });
  }
  if (method === 'POST' && (path === '/api/lists/subscribe' || path === '/api/lists/unsubscribe')) {
    const action = path === '/api/lists/subscribe' ? 'subscribe' : 'unsubscribe';
    const update = parseUpdate(request.body);
    const details = update
      ? {
          listId: update.listId,
          subscribers: update.subscribers.map(({ email, userId }) => ({
            ...(email === undefined ? {} : { email }),
            ...(userId === undefined ? {} : { userId }),
          })),
        }
      : {};
    return {
      name: action,
      isWrite: true,
      details,
      answer: (project) =>
        updateList(project, action, update, { bytes: request.bytes.length, calls, clock, sender }),
    };
  }
  const userRoute = routeUser(request);
  if (userRoute) return userRoute;
  return { name: 'unknown', isWrite: false, details: {}, answer: htmlNotFound };
}

/** Profiles: by query or by path, as Iterable's own client asks. */
function routeUser({ method, path, query }: SandboxRequest): Route | undefined {
  const [, byUserId, byEmail] =
    /^\/api\/users\/(?:byUserId\/([^/]+)|([^/]+@[^/]+|[^/]+%40[^/]+))$/.exec(path) ?? [];
  const email = byEmail ?? (path === '/api/users/getByEmail' ? query.get('email') : undefined);
  const userId = byUserId ?? (path === '/api/users/byUserId' ? query.get('userId') : undefined);
  const identifier = decodeURIComponent(email ?? userId ?? '');
  if (identifier === '') return undefined;
  if (method === 'GET') {
    return {
      name: 'getUser',
      isWrite: false,
      details: {},
      answer(project) {
        if (email != null && !isEmail(identifier)) {
          return refuse(400, 'InvalidEmailAddressError', `Invalid email: ${identifier}`);
        }
        const profile = project.users.find(identifier);
        return ok(profile ? { user: { ...profile, dataFields: { ...profile } } } : {});
      },
    };
  }
  if (method !== 'DELETE') return undefined;
  return {
    name: 'deleteUser',
    isWrite: true,
    details: {},
    answer(project) {
      const profile = project.users.find(identifier);
      if (!profile && userId != null) {
        return refuse(400, 'BadParams', `User does not exist. Email:  UserId: ${identifier}`);
      }
      if (profile) {
        project.users.remove(profile);
        for (const list of project.lists.values()) project.setMember(list, profile, false);
      }
      return refuse(200, 'Success', '');
    },
  };
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
