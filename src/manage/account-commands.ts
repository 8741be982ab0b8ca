import { emailKey, parseName, parseWebsite } from '../core/account-input.ts';
import type { Clock } from '../core/clock.ts';
import { DomainError } from '../core/errors.ts';
import { type IdSource, requireId } from '../core/ids.ts';
import { EVERYTHING, type Scope } from '../core/scope.ts';
import { generateSecretToken, hashToken } from '../core/secret-token.ts';
import type { Vault } from '../core/vault.ts';
import { isEmailTaken } from '../storage/conflicts.ts';
import { Account, type AccountEntity } from '../storage/entities/index.ts';
import type { EntityManager } from '../storage/storage.ts';

/** `email` is valid already: the API's scalar has parsed it. */
export interface NewAccount {
  readonly email: string;
  readonly name: string;
  readonly website: string | null | undefined;
}

/** A key that is absent stays as it is; `null` clears what may be empty. */
export interface AccountPatch {
  readonly email?: string;
  readonly name?: string;
  readonly website?: string | null;
}

export interface CommandDependencies {
  /** Of who gives the commands: to them, what is outside of it does not exist. */
  readonly scope: Scope;
  readonly fork: (scope: Scope) => EntityManager;
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly vault: Vault;
}

/** Every command is one transaction, and either does all it says or changes nothing. */
export class AccountCommands {
  readonly #dependencies: CommandDependencies;

  constructor(dependencies: CommandDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws DomainError FORBIDDEN, BAD_USER_INPUT, CONFLICT */
  async create({ email, name, website }: NewAccount): Promise<AccountEntity> {
    const { scope, clock, newId } = this.#dependencies;
    if (scope !== EVERYTHING) {
      throw DomainError.forbidden('Only the administrator may create accounts.');
    }
    const now = new Date(clock.now());
    const id = newId();
    const account = {
      id,
      ...parsePatch({ email, name, website: website ?? null }),
      ...this.#newToken(id),
      createdAt: now,
      updatedAt: now,
    };
    return this.#inTransaction(async (em) => em.create(Account, account as Required<typeof account>));
  }

  /** @throws DomainError BAD_USER_INPUT, NOT_FOUND, CONFLICT */
  update(id: string, patch: AccountPatch): Promise<AccountEntity> {
    return this.#change(id, parsePatch(patch));
  }

  /**
   * The old token stops working at once: ingest looks tokens up in the transaction that stores the event.
   *
   * @throws DomainError NOT_FOUND
   */
  rotateToken(id: string): Promise<AccountEntity> {
    return this.#change(id, this.#newToken(id));
  }

  /**
   * Deletes all that is the account's. Requests under way come to their end, and are not recorded.
   *
   * @throws DomainError NOT_FOUND
   */
  async delete(id: string): Promise<string> {
    requireId(id, 'account');
    const deleted = await this.#inTransaction((em) => em.nativeDelete(Account, { id }));
    if (deleted === 0) {
      throw DomainError.notFound('account');
    }
    return id;
  }

  #newToken(accountId: string): Pick<AccountEntity, 'tokenHash' | 'sealedToken'> {
    const token = generateSecretToken();
    return { tokenHash: hashToken(token), sealedToken: this.#dependencies.vault.seal(token, accountId) };
  }

  async #change(id: string, fields: Partial<AccountEntity>): Promise<AccountEntity> {
    requireId(id, 'account');
    const { clock } = this.#dependencies;
    return this.#inTransaction(async (em) => {
      const account = await em.findOne(Account, { id });
      if (account === null) {
        throw DomainError.notFound('account');
      }
      return Object.assign(account, fields, { updatedAt: new Date(clock.now()) });
    });
  }

  async #inTransaction<Result>(work: (em: EntityManager) => Promise<Result>): Promise<Result> {
    try {
      const { fork, scope } = this.#dependencies;
      return await fork(scope).transactional((em) => work(em));
    } catch (error) {
      throw isEmailTaken(error)
        ? DomainError.conflict('There is an account with this email address already.', 'email')
        : error;
    }
  }
}

function parsePatch({ email, name, website }: AccountPatch): Partial<AccountEntity> {
  return {
    ...(email !== undefined && { email, emailKey: emailKey(email) }),
    ...(name !== undefined && { name: parseName(name) }),
    ...(website !== undefined && { website: website === null ? null : parseWebsite(website) }),
  };
}
