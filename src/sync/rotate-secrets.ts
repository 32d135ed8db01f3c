import type { Db } from '../../db/connect.ts';
import { listStoredSecrets, replaceStoredSecret } from '../../db/queries/stored-secret.ts';
import type { Secrets } from '../secrets.ts';

/**
 * Encrypts with the newest key what an older one had encrypted, and gives how many secrets that were. Throws when a
 * secret was encrypted with a key that ENCRYPTION_KEY does not hold. Any number of processes may call it at once.
 */
export async function rotateSecrets(db: Db, secrets: Secrets): Promise<number> {
  let rotated = 0;
  for (const secret of await listStoredSecrets(db)) {
    const plain = secrets.decrypt(secret.text);
    if (!secrets.isOutdated(secret.text)) continue;
    await replaceStoredSecret(db, secret, secrets.encrypt(plain));
    rotated++;
  }
  return rotated;
}
