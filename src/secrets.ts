import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ID_BYTES = 4;

/** What was encrypted by a key that is not among those of this process. */
export class UnknownKeyError extends Error {}

export interface Secrets {
  encrypt(plain: string): string;
  /** Throws UnknownKeyError when none of the keys fits, another error when the text was altered. */
  decrypt(text: string): string;
  /** True for what an older key encrypted. */
  isOutdated(text: string): boolean;
  /**
   * The same for the same text, scope and key, so that it can be part of an id: whoever sees two of them learns whether
   * the texts are equal, and how long they are. For what is stored there is encrypt.
   */
  seal(plain: string, scope: string): string;
  /** Undefined for what no key of these has sealed in this scope. */
  unseal(sealed: string, scope: string): string | undefined;
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
      if (!key)
        throw new UnknownKeyError(
          `ENCRYPTION_KEY has no key ${id}, which stored secrets were encrypted with.`,
        );
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const body = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    },
    isOutdated: (text) => !text.startsWith(`${newestId}:`),
    seal(plain, scope) {
      const tag = sealTag(newest, plain, scope);
      const cipher = createCipheriv('aes-256-ctr', subkey(newest, 'text'), tag);
      const bytes = [Buffer.from(newestId, 'hex'), tag, cipher.update(plain, 'utf8'), cipher.final()];
      return Buffer.concat(bytes).toString('base64url');
    },
    unseal(sealed, scope) {
      const bytes = Buffer.from(sealed, 'base64url');
      const key = byId.get(bytes.toString('hex', 0, ID_BYTES));
      const tag = bytes.subarray(ID_BYTES, ID_BYTES + TAG_BYTES);
      if (!key || tag.length < TAG_BYTES) return undefined;
      const decipher = createDecipheriv('aes-256-ctr', subkey(key, 'text'), tag);
      const body = bytes.subarray(ID_BYTES + TAG_BYTES);
      const plain = Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      return timingSafeEqual(tag, sealTag(key, plain, scope)) ? plain : undefined;
    },
  };
}

/** The tag is the nonce too, as in SIV (RFC 5297): a nonce repeats only with its text, and an altered text has another. */
function sealTag(key: Buffer, plain: string, scope: string): Buffer {
  const mac = createHmac('sha256', subkey(key, 'tag')).update(`${scope}\0${plain}`);
  return mac.digest().subarray(0, TAG_BYTES);
}

/** No two purposes share a key. */
function subkey(key: Buffer, purpose: 'text' | 'tag'): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `cohort-sync seal ${purpose}`, 32));
}

function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}
