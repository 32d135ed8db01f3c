import type { Db } from '../connect.ts';

/** One encrypted secret of a partner, and where it is kept. */
export interface StoredSecret {
  table: 'integrations' | 'mixpanel_connections' | 'webhook_endpoints';
  id: string;
  text: string;
}

/** Every partner secret of every project. */
export async function listStoredSecrets(db: Db): Promise<StoredSecret[]> {
  const [keys, accounts, endpoints] = await Promise.all([
    db
      .selectFrom('integrations')
      .select(['id', 'api_key as text'])
      .where('api_key', 'is not', null)
      .execute(),
    db.selectFrom('mixpanel_connections').select(['id', 'service_account_secret as text']).execute(),
    db.selectFrom('webhook_endpoints').select(['id', 'password as text']).execute(),
  ]);
  return [
    ...keys.map(({ id, text }) => ({ table: 'integrations' as const, id, text: text! })),
    ...accounts.map((row) => ({ table: 'mixpanel_connections' as const, ...row })),
    ...endpoints.map((row) => ({ table: 'webhook_endpoints' as const, ...row })),
  ];
}

/** Nothing happens when the secret has been replaced meanwhile. */
export async function replaceStoredSecret(db: Db, secret: StoredSecret, text: string): Promise<void> {
  if (secret.table === 'integrations') {
    await db
      .updateTable('integrations')
      .set({ api_key: text })
      .where('id', '=', secret.id)
      .where('api_key', '=', secret.text)
      .execute();
  } else if (secret.table === 'webhook_endpoints') {
    await db
      .updateTable('webhook_endpoints')
      .set({ password: text })
      .where('id', '=', secret.id)
      .where('password', '=', secret.text)
      .execute();
  } else {
    await db
      .updateTable('mixpanel_connections')
      .set({ service_account_secret: text })
      .where('id', '=', secret.id)
      .where('service_account_secret', '=', secret.text)
      .execute();
  }
}
