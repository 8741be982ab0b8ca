import { emailKey, parseName, parseWebsite } from '../core/inputs.ts';
import type { Clock } from '../core/clock.ts';
import { DomainError } from '../core/errors.ts';
import { type IdSource, requireId } from '../core/ids.ts';
import { EVERYTHING, type Scope } from '../core/scope.ts';
import { generateSecretToken, hashToken } from '../core/secrets.ts';
import type { Vault } from '../core/vault.ts';
import { isEmailTaken, LockMode } from '../storage/errors.ts';
import { Account, type AccountEntity, Destination } from '../storage/entities.ts';
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
  /** Announcement of destinations that get nothing from now on, once that is durable. */
  readonly onDisabled: (destinationIds: readonly string[]) => void;
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
   * Marks the account and its destinations as deleted: all that is its own reads as gone, its token and its email
   * address are free, and nothing more is sent. The rows are removed behind, however many there are.
   *
   * @throws DomainError NOT_FOUND
   */
  async delete(id: string): Promise<string> {
    requireId(id, 'account');
    const { clock, onDisabled } = this.#dependencies;
    const now = new Date(clock.now());
    const destinations = await this.#inTransaction(async (em) => {
      const marks = { deletedAt: now, updatedAt: now };
      // No address and no token is ever like an id.
      const deleted = await em.nativeUpdate(Account, { id }, { ...marks, emailKey: id, tokenHash: id });
      if (deleted === 0) {
        throw DomainError.notFound('account');
      }
      // Locked in one order, in which answers that disable destinations lock them too.
      const order = { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE } as const;
      const found = await em.find(Destination, { account: id }, { ...order, fields: ['id'] });
      await em.nativeUpdate(Destination, { account: id }, { ...marks, disabledAt: now });
      return found;
    });
    onDisabled(destinations.map((destination) => destination.id));
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
      // Locked, so that what is deleted meanwhile does not get a token or an address again.
      const account = await em.findOne(Account, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
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
