import { z } from 'zod';
import { badParams, ok } from './answers.ts';
import type { IterableProject } from './project.ts';
import { route } from './route.ts';
import type { WebhookAuth, WebhookTarget } from './send-events.ts';

const edit = z.object({
  id: z.int(),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  enabled: z.boolean().optional(),
  blastSendEnabled: z.boolean().optional(),
  triggeredSendEnabled: z.boolean().optional(),
  authType: z.enum(['NoAuth', 'Basic', 'OAuth2']).optional(),
  authToken: z.string().optional(),
  headers: z.array(z.object({ key: z.string().regex(/^[\w-]+$/), value: z.string() })).optional(),
});

/** The webhook that the project's settings name, if any. It can be read and changed, neither made nor deleted. */
export const webhookRoutes = [
  route({
    name: 'listWebhooks',
    method: 'GET',
    path: '/api/webhooks',
    answer({ project }) {
      const { webhook } = project.settings;
      return ok({ webhooks: webhook ? [toRow(project, webhook)] : [] });
    },
  }),
  route({
    name: 'updateWebhook',
    method: 'POST',
    path: '/api/webhooks',
    body: edit,
    answer({ project, input }) {
      const { webhook } = project.settings;
      if (!webhook || input.id !== idOf(project)) return badParams(`There is no webhook ${input.id}`);
      const { endpoint = webhook.url, authType = authTypeOf(webhook.auth), authToken, headers } = input;
      const isNewAuth = input.authType !== undefined || authToken !== undefined;
      const target: WebhookTarget = {
        url: endpoint,
        auth: isNewAuth ? toAuth(authType, authToken ?? '') : webhook.auth,
        headers: headers
          ? Object.fromEntries(headers.map(({ key, value }) => [key, value]))
          : (webhook.headers ?? {}),
      };
      project.settings.webhook = target;
      for (const name of ['enabled', 'blastSendEnabled', 'triggeredSendEnabled'] as const) {
        project.webhook[name] = input[name] ?? project.webhook[name];
      }
      return ok(toRow(project, target));
    },
  }),
];

function idOf(project: IterableProject): number {
  return 300_000 + project.id;
}

function toRow(project: IterableProject, { url, auth }: WebhookTarget): object {
  return { id: idOf(project), endpoint: url, authType: authTypeOf(auth), ...project.webhook };
}

function authTypeOf({ type }: WebhookAuth): 'NoAuth' | 'Basic' | 'OAuth2' {
  if (type === 'oauth2') return 'OAuth2';
  return type === 'bare' || type === 'basic' ? 'Basic' : 'NoAuth';
}

/** Iterable's own example of Basic shows the token and nothing before it. */
function toAuth(authType: 'NoAuth' | 'Basic' | 'OAuth2', token: string): WebhookAuth {
  if (authType === 'NoAuth') return { type: 'none' };
  return { type: authType === 'OAuth2' ? 'oauth2' : 'bare', token };
}
