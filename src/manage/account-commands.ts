import { emailKey, parseName, parseWebsite } from '../core/inputs.ts';
import type { Clock } from '../core/clock.ts';
import { parseDottedPath } from '../core/dotted-path.ts';
import { DomainError } from '../core/errors.ts';
import { type IdSource, requireId } from '../core/ids.ts';
import { EVERYTHING, type Scope } from '../core/scope.ts';
import { generateSecretToken, hashToken } from '../core/secrets.ts';
import type { Vault } from '../core/vault.ts';
import { isEmailTaken, LockMode } from '../storage/errors.ts';
import { Account, type AccountEntity, Destination } from '../storage/entities.ts';
import type { EntityManager } from '../storage/storage.ts';
import { lockRoutes } from './route-lock.ts';

/** The API's scalar has already validated `email`. */
interface NewAccount {
  readonly email: string;
  readonly name: string;
  readonly website?: string | null | undefined;
  readonly eventTypePath?: string | null | undefined;
}

/** Absent keys stay unchanged. `null` clears a field. */
interface AccountPatch {
  readonly email?: string;
  readonly name?: string;
  readonly website?: string | null;
  readonly eventTypePath?: string | null;
}

export interface CommandDependencies {
  /** The caller's scope. Nothing outside of it exists for the commands. */
  readonly scope: Scope;
  readonly fork: (scope: Scope) => EntityManager;
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly vault: Vault;
  /** Called with destinations that get nothing from now on, after the commit. */
  readonly onDisabled: (destinationIds: readonly string[]) => void;
}

/** Every command is one transaction. If it fails, nothing has changed. */
export class AccountCommands {
  readonly #dependencies: CommandDependencies;

  constructor(dependencies: CommandDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws DomainError FORBIDDEN, BAD_USER_INPUT, CONFLICT */
  async create({ email, name, website, eventTypePath }: NewAccount): Promise<AccountEntity> {
    const { scope, clock, newId } = this.#dependencies;
    if (scope !== EVERYTHING) {
      throw DomainError.forbidden('Only the administrator may create accounts.');
    }
    const now = new Date(clock.now());
    const id = newId();
    const account = {
      id,
      email,
      emailKey: emailKey(email),
      name: parseName(name),
      website: parseOptional(website ?? null, parseWebsite),
      eventTypePath: parseOptional(eventTypePath ?? null, parseEventTypePath),
      ...this.#newToken(id),
      createdAt: now,
      updatedAt: now,
    };
    return this.#inTransaction(async (em) => em.create(Account, account));
  }

  /** @throws DomainError BAD_USER_INPUT, NOT_FOUND, CONFLICT */
  update(id: string, patch: AccountPatch): Promise<AccountEntity> {
    return this.#change(id, parsePatch(patch));
  }

  /**
   * The old token stops working at once: ingest looks up tokens in the transaction that stores the event.
   *
   * @throws DomainError NOT_FOUND
   */
  rotateToken(id: string): Promise<AccountEntity> {
    return this.#change(id, this.#newToken(id));
  }

  /**
   * Marks the account and its destinations as deleted. From then on none of its data can be read and nothing is sent;
   * its email address can be used again. The cleaner removes the rows later, because there may be many.
   *
   * @throws DomainError NOT_FOUND
   */
  async delete(id: string): Promise<string> {
    requireId(id, 'account');
    const { clock, onDisabled } = this.#dependencies;
    const now = new Date(clock.now());
    const destinations = await this.#inTransaction(async (em) => {
      const marks = { deletedAt: now, updatedAt: now };
      const account = await lockRoutes(em, id);
      if (account === null) {
        throw DomainError.notFound('account');
      }
      // Both columns are unique. An id can be neither an address nor the hash of a token.
      Object.assign(account, { ...marks, emailKey: id, tokenHash: id });
      // Recording 410 Gone locks destinations too. Both lock in the order of ids, so neither waits for the other in a circle.
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
      // The lock keeps an account that is being deleted from getting a token or an address again.
      const account = await ('eventTypePath' in fields
        ? lockRoutes(em, id)
        : em.findOne(Account, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE }));
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

function parsePatch({ email, name, website, eventTypePath }: AccountPatch): Partial<AccountEntity> {
  return {
    ...(email !== undefined && { email, emailKey: emailKey(email) }),
    ...(name !== undefined && { name: parseName(name) }),
    ...(website !== undefined && { website: parseOptional(website, parseWebsite) }),
    ...(eventTypePath !== undefined && { eventTypePath: parseOptional(eventTypePath, parseEventTypePath) }),
  };
}

function parseOptional(text: string | null, parse: (text: string) => string): string | null {
  return text === null ? null : parse(text);
}

/** The path is kept as text, which is parsed again where it is used. */
function parseEventTypePath(text: string): string {
  parseDottedPath(text, 'eventTypePath');
  return text;
}
