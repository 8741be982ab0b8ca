import type { AddressRule } from '../core/address-rule.ts';
import {
  DESTINATIONS_PER_ACCOUNT_MAX,
  type HttpMethod,
  parseDestinationUrl,
  parseHeaders,
  requireOverlap,
} from '../core/inputs.ts';
import { DomainError } from '../core/errors.ts';
import { requireId } from '../core/ids.ts';
import { generateSigningSecret } from '../core/secrets.ts';
import { LockMode } from '../storage/errors.ts';
import { Account, Destination, type DestinationEntity } from '../storage/entities.ts';
import type { CommandDependencies } from './account-commands.ts';

interface NewDestination {
  readonly accountId: string;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Absent keys stay unchanged. */
export interface DestinationPatch extends Partial<Omit<NewDestination, 'accountId'>> {
  readonly enabled?: boolean;
}

interface DestinationDependencies extends CommandDependencies {
  /** The addresses that a URL may name. `undefined` allows any. */
  readonly addressRule: AddressRule | undefined;
}

export class DestinationCommands {
  readonly #dependencies: DestinationDependencies;

  constructor(dependencies: DestinationDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws DomainError BAD_USER_INPUT, NOT_FOUND, CONFLICT */
  async create({ accountId, ...fields }: NewDestination): Promise<DestinationEntity> {
    const { fork, scope, clock, newId, vault, addressRule } = this.#dependencies;
    const now = new Date(clock.now());
    const url = parseDestinationUrl(fields.url, addressRule);
    const headers = parseHeaders(fields.headers);
    requireId(accountId, 'account');
    return fork(scope).transactional(async (em) => {
      // Without the lock, two commands at the same time would not count each other's destination.
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
        url,
        httpMethod: fields.httpMethod,
        sealedHeaders: vault.seal(JSON.stringify(headers), accountId),
        sealedSigningSecret: vault.seal(generateSigningSecret(), accountId),
        createdAt: now,
        updatedAt: now,
      });
    });
  }

  /** Attempts that begin later use the new settings. @throws DomainError BAD_USER_INPUT, NOT_FOUND */
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
   * Signs deliveries with a new secret, and until the overlap ends also with the current one. If an earlier overlap is
   * still running, its old secret stops at once.
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
   * Marks the destination as deleted. From then on it and its deliveries cannot be read, and nothing is sent. The cleaner
   * removes the rows later, because there may be many.
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
      // Without the lock, the later of two concurrent rotations would not see the earlier one's secret.
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
