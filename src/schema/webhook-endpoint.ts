import type * as endpoints from '../sync/webhook-endpoint.ts';
import { builder } from './builder.ts';

export const WebhookEndpoint = builder.objectRef<endpoints.WebhookEndpoint>('WebhookEndpoint').implement({
  description: 'Where a partner is to call this service.',
  fields: (t) => ({
    url: t.string({
      description:
        'The address, which is part of the secret: PUBLIC_URL, or HOST and PORT when it is not set.',
      resolve: ({ partner, key }, _args, { sync }) => {
        const { publicUrl, host, port } = sync.env;
        return `${publicUrl ?? `http://${host}:${port}`}/webhooks/${partner.toLowerCase()}/${key}`;
      },
    }),
    username: t.exposeString('username', {
      nullable: true,
      description: 'Of HTTP Basic authentication.',
    }),
    password: t.exposeString('password', {
      nullable: true,
      description:
        "Of HTTP Basic authentication. For Iterable's webhook also the token: in Authorization as it is or after Basic, OAuth2 or Bearer, or in a custom header of any name.",
    }),
    lastReceivedAt: t.expose('lastReceivedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When something that could be used last came in; to the second.',
    }),
  }),
});
