import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Secrets {
  encrypt(plain: string): string;
  /** Throws when none of the keys fits, or the text was altered. */
  decrypt(text: string): string;
  /** True for what an older key encrypted. */
  isOutdated(text: string): boolean;
}

/**
 * AES-256-GCM. The first of the keys encrypts; its id stands in front of the text, so that older keys go on decrypting
 * what they had encrypted.
 */
export function createSecrets(keys: Buffer[]): Secrets {
  const byId = new Map(keys.map((key) => [keyId(key), key]));
  const newest = keys[0];
  if (!newest) throw new Error('At least one encryption key is needed.');
  const newestId = keyId(newest);
  return {
    encrypt(plain) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', newest, nonce);
      const sealed = Buffer.concat([
        nonce,
        cipher.update(plain, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      return `${newestId}:${sealed.toString('base64')}`;
    },
    decrypt(text) {
      const [id = '', sealed = ''] = text.split(':');
      const key = byId.get(id);
      if (!key) throw new Error(`ENCRYPTION_KEY has no key ${id}, which this secret was encrypted with.`);
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const body = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    },
    isOutdated: (text) => !text.startsWith(`${newestId}:`),
  };
}

function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
