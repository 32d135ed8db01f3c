import type { ServerResponse } from 'node:http';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import { type OperationContext, serveOperation } from '../serve-operation.ts';
import { htmlNotFound, refuse, tooMany } from './answers.ts';
import { campaignRoutes } from './campaigns.ts';
import { channelRoutes } from './channels.ts';
import { forgottenUserRoutes } from './forgotten-users.ts';
import { listRoutes } from './lists.ts';
import type { IterableProject } from './project.ts';
import type { Read } from './read-input.ts';
import { createRouter, type RouteMatch } from './route.ts';
import type { EventSender } from './send-events.ts';
import { updateListRoutes } from './update-list.ts';
import { updateUserRoutes } from './update-users.ts';
import { userRoutes } from './users.ts';
import { webhookRoutes } from './webhooks.ts';

export interface IterableContext extends OperationContext {
  projects: IterableProject[];
  /** Of the webhook. */
  sender: EventSender;
}

const findRoute = createRouter([
  ...listRoutes,
  ...updateListRoutes,
  ...userRoutes,
  ...updateUserRoutes,
  ...forgottenUserRoutes,
  ...channelRoutes,
  ...campaignRoutes,
  ...webhookRoutes,
]);

/** Answers as api.iterable.com (US) or api.eu.iterable.com (EU). */
export async function serveIterable(
  context: IterableContext,
  dataCenter: 'US' | 'EU',
  request: SandboxRequest,
  response: ServerResponse,
): Promise<void> {
  const match = findRoute(request);
  const read = match?.route.read(match);
  await serveOperation(context, request, response, {
    name: `iterable.${match?.route.name ?? 'unknown'}`,
    details: (match && read && 'input' in read && match.route.details(read.input)) || {},
    answer: () => {
      if (request.query.has('api_key') || request.query.has('apiKey')) {
        context.calls.complain('the key is in the query string');
      }
      const given = String(request.headers['api-key'] ?? request.headers.api_key);
      const project = context.projects.find((one) => one.dataCenter === dataCenter && one.keys.has(given));
      const key = project?.keys.get(given);
      const params = { ip: '127.0.0.1', endpoint: request.path };
      if (!project || !key) return refuse(401, 'BadApiKey', 'Invalid API key', params);
      if (key.isRevoked || (key.readOnly && match && request.method !== 'GET')) {
        return refuse(401, 'BadApiKey', 'Disabled API key or insufficient privileges', params);
      }
      return match && read ? answer(context, project, match, read) : htmlNotFound();
    },
  });
}

function answer(
  { clock, calls, sender }: IterableContext,
  project: IterableProject,
  { route, request }: RouteMatch,
  read: Read<unknown>,
): SandboxReply {
  if ('refusal' in read) return read.refusal;
  for (const limit of route.limits) {
    const waitMs = project.takeQuota(route.name, limit);
    if (waitMs > 0) return tooMany(request.path, project.id, waitMs);
  }
  return route.answer({ project, input: read.input, request, clock, calls, sender });
}
