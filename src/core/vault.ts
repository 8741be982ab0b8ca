import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
/** Random nonces are safe for 2^32 texts under one key (NIST SP 800-38D, section 8.2). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_CHARACTERS = 8;

/** The text's key is missing, or the text was changed. The message contains no secret. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}

/**
 * Encrypts secrets for the database, as `v1.<key id>.<nonce, text and tag in base64url>`. The owner's id is authenticated
 * with the text: a secret that is copied to another account's row cannot be opened there.
 */
export class Vault {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #current: { readonly id: string; readonly key: Buffer };

  /** @param keys of 32 bytes; the first encrypts, all decrypt */
  constructor(keys: readonly [Buffer, ...Buffer[]]) {
    this.#keys = new Map(keys.map((key) => [idOf(key), key]));
    this.#current = { id: idOf(keys[0]), key: keys[0] };
  }

  /** The prefix of every sealed text. */
  static readonly mark = `${VERSION}.`;

  /** The prefix of texts that are sealed with the current key. */
  get currentMark(): string {
    return `${VERSION}.${this.#current.id}.`;
  }

  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  seal(text: string, ownerId: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#current.key, nonce).setAAD(Buffer.from(ownerId));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return this.currentMark + sealed.toString('base64url');
  }

  /** @throws VaultError */
  open(sealed: string, ownerId: string): string {
    const [version, keyId = '', content = ''] = sealed.split('.');
    const key = this.#keys.get(keyId);
    if (version !== VERSION || key === undefined) {
      throw new VaultError(`The key ${keyId} that a secret was sealed with is missing.`);
    }
    const bytes = Buffer.from(content, 'base64url');
    try {
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(ownerId))
        .setAuthTag(bytes.subarray(-TAG_BYTES));
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch (error) {
      throw new VaultError('A secret was changed, or moved from another row.', { cause: error });
    }
  }
}

/** Identifies a key without revealing it. */
function idOf(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, KEY_ID_CHARACTERS);
}
