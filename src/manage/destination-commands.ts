import type { AddressRule } from '../core/address-rule.ts';
import { DESTINATIONS_PER_ACCOUNT_MAX, type HttpMethod, parseDestinationUrl, parseHeaders } from '../core/inputs.ts';
import { DomainError } from '../core/errors.ts';
import { requireId } from '../core/ids.ts';
import { requireOverlap } from '../core/overlap.ts';
import { generateSigningSecret } from '../core/secrets.ts';
import { LockMode } from '../storage/errors.ts';
import { Account, Destination, type DestinationEntity } from '../storage/entities.ts';
import type { CommandDependencies } from './account-commands.ts';

export interface NewDestination {
  readonly accountId: string;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A key that is absent stays as it is. */
export interface DestinationPatch extends Partial<Omit<NewDestination, 'accountId'>> {
  readonly enabled?: boolean;
}

export interface DestinationDependencies extends CommandDependencies {
  /** Which addresses a URL may name; without one, any. */
  readonly addressRule: AddressRule | undefined;
}

export class DestinationCommands {
  readonly #dependencies: DestinationDependencies;

  constructor(dependencies: DestinationDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws DomainError BAD_USER_INPUT, NOT_FOUND, CONFLICT */
  async create({ accountId, ...fields }: NewDestination): Promise<DestinationEntity> {
    const { fork, scope, clock, newId, vault } = this.#dependencies;
    const now = new Date(clock.now());
    const { headers, ...parsed } = parsePatch(fields, this.#dependencies) as Required<ReturnType<typeof parsePatch>>;
    requireId(accountId, 'account');
    return fork(scope).transactional(async (em) => {
      // Locked, so that two of these at the same time count each other.
      const account = await em.findOne(Account, { id: accountId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (account === null) {
        throw DomainError.notFound('account');
      }
      if ((await em.count(Destination, { account })) >= DESTINATIONS_PER_ACCOUNT_MAX) {
        throw DomainError.conflict(`An account has at most ${DESTINATIONS_PER_ACCOUNT_MAX} destinations.`);
      }
      return em.create(Destination, {
        id: newId(),
        account,
        ...parsed,
        sealedHeaders: vault.seal(JSON.stringify(headers), accountId),
        sealedSigningSecret: vault.seal(generateSigningSecret(), accountId),
        createdAt: now,
        updatedAt: now,
      });
    });
  }

  /** Attempts that begin from now on use the new settings. @throws DomainError BAD_USER_INPUT, NOT_FOUND */
  async update(id: string, patch: DestinationPatch): Promise<DestinationEntity> {
    const { vault } = this.#dependencies;
    const { headers, ...fields } = parsePatch(patch, this.#dependencies);
    const changesRequests = headers !== undefined || Object.keys(fields).length > 0;
    const changed = await this.#change(id, (destination, now) => ({
      ...fields,
      ...(changesRequests && { version: destination.version + 1 }),
      ...(headers && { sealedHeaders: vault.seal(JSON.stringify(headers), destination.account.id) }),
      ...(patch.enabled !== undefined && { disabledAt: patch.enabled ? null : (destination.disabledAt ?? now) }),
    }));
    if (changed.disabledAt !== null) {
      this.#dependencies.onDisabled([id]);
    }
    return changed;
  }

  /**
   * Deliveries are signed with a new secret from now on, and with the present one too until the overlap ends.
   * One that was in an overlap itself stops at once.
   *
   * @throws DomainError BAD_USER_INPUT, NOT_FOUND
   */
  async rotateSigningSecret(id: string, overlapMs: number): Promise<DestinationEntity> {
    requireOverlap(overlapMs);
    return this.#change(id, ({ account, sealedSigningSecret, version }, now) => ({
      version: version + 1,
      sealedSigningSecret: this.#dependencies.vault.seal(generateSigningSecret(), account.id),
      sealedPreviousSecret: overlapMs === 0 ? null : sealedSigningSecret,
      previousSecretUntil: overlapMs === 0 ? null : new Date(now.getTime() + overlapMs),
    }));
  }

  /**
   * Marks it as deleted: it and its deliveries read as gone, and nothing more is sent. The rows are removed
   * behind, however many there are.
   *
   * @throws DomainError NOT_FOUND
   */
  async delete(id: string): Promise<string> {
    requireId(id, 'destination');
    const { fork, scope, clock, onDisabled } = this.#dependencies;
    const now = new Date(clock.now());
    const marks = { deletedAt: now, disabledAt: now, updatedAt: now };
    const deleted = await fork(scope).transactional((em) => em.nativeUpdate(Destination, { id }, marks));
    if (deleted === 0) {
      throw DomainError.notFound('destination');
    }
    onDisabled([id]);
    return id;
  }

  async #change(
    id: string,
    change: (destination: DestinationEntity, now: Date) => Partial<DestinationEntity>,
  ): Promise<DestinationEntity> {
    requireId(id, 'destination');
    const { fork, scope, clock } = this.#dependencies;
    return fork(scope).transactional(async (em) => {
      // Locked, so that of two rotations at the same time the later one sees the earlier one's secret.
      const destination = await em.findOne(Destination, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (destination === null) {
        throw DomainError.notFound('destination');
      }
      const now = new Date(clock.now());
      return Object.assign(destination, change(destination, now), { updatedAt: now });
    });
  }
}

function parsePatch({ url, httpMethod, headers }: DestinationPatch, { addressRule }: DestinationDependencies) {
  return {
    ...(url !== undefined && { url: parseDestinationUrl(url, addressRule) }),
    ...(httpMethod !== undefined && { httpMethod }),
    ...(headers !== undefined && { headers: parseHeaders(headers) }),
  };
}
