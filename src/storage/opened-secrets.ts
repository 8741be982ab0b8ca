import type { Vault } from '../core/vault.ts';

const KEPT_MAX = 2_000;

/** Opens what is sealed, and keeps what was opened last: every delivery to a destination needs the same. */
export class OpenedSecrets {
  readonly #vault: Vault;
  /** By owner and sealed text: what belongs to another owner must fail to open. The oldest come first. */
  readonly #opened = new Map<string, string>();

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** @throws VaultError */
  open(sealed: string, ownerId: string): string {
    const key = `${ownerId} ${sealed}`;
    const known = this.#opened.get(key);
    if (known !== undefined) {
      return known;
    }
    const opened = this.#vault.open(sealed, ownerId);
    if (this.#opened.size >= KEPT_MAX) {
      const [oldest = ''] = this.#opened.keys();
      this.#opened.delete(oldest);
    }
    this.#opened.set(key, opened);
    return opened;
  }
}
