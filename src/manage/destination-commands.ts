import type { AddressRule } from '../core/address-rule.ts';
import { DESTINATIONS_PER_ACCOUNT_MAX, requireOverlap } from '../core/inputs.ts';
import { DomainError } from '../core/errors.ts';
import { requireId } from '../core/ids.ts';
import { EVERYTHING } from '../core/scope.ts';
import { generateSigningSecret } from '../core/secrets.ts';
import { LockMode } from '../storage/errors.ts';
import { Destination, type DestinationEntity } from '../storage/entities.ts';
import type { EntityManager } from '../storage/storage.ts';
import type { CommandDependencies } from './account-commands.ts';
import { type DestinationPatch, type NewDestination, parseDestination } from './destination-input.ts';
import { lockRoutes } from './route-lock.ts';

export type { DestinationPatch };

interface DestinationDependencies extends CommandDependencies {
  /** The addresses that a URL may name. `undefined` allows any. */
  readonly addressRule: AddressRule | undefined;
  /** Called with a destination whose requests have changed, after the commit. */
  readonly onChanged: (destinationId: string) => void;
  /** Checks an expression. @throws DomainError BAD_USER_INPUT, which says what is wrong, and where */
  readonly parseTransform: (callerId: string, expression: string) => Promise<void>;
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
    const { labels, routes, policy, requests, headers } = parseDestination(fields, addressRule);
    requireId(accountId, 'account');
    await this.#parseTransform(fields.transform);
    return fork(scope).transactional(async (em) => {
      // Without the lock, two commands at the same time would not count each other's destination.
      const account = await lockRoutes(em, accountId);
      if (account === null) {
        throw DomainError.notFound('account');
      }
      if ((await em.count(Destination, { account })) >= DESTINATIONS_PER_ACCOUNT_MAX) {
        throw DomainError.conflict(`An account has at most ${DESTINATIONS_PER_ACCOUNT_MAX} destinations.`);
      }
      return em.create(Destination, {
        id: newId(),
        account,
        url: fields.url,
        httpMethod: fields.httpMethod,
        ...labels,
        ...routes,
        ...policy,
        ...requests,
        sealedHeaders: vault.seal(JSON.stringify(headers), accountId),
        sealedSigningSecret: vault.seal(generateSigningSecret(), accountId),
        createdAt: now,
        updatedAt: now,
      });
    });
  }

  /** Attempts that begin later use the new settings. @throws DomainError BAD_USER_INPUT, NOT_FOUND */
  async update(id: string, patch: DestinationPatch): Promise<DestinationEntity> {
    const { vault, addressRule } = this.#dependencies;
    const { labels, routes, policy, requests, headers } = parseDestination(patch, addressRule);
    await this.#parseTransform(patch.transform);
    const changesRequests = headers !== undefined || Object.keys(requests).length > 0;
    const changesRoutes = patch.enabled !== undefined || Object.keys(routes).length > 0;
    return this.#change(id, changesRoutes, (destination, now) => ({
      ...labels,
      ...routes,
      ...policy,
      ...requests,
      ...(changesRequests && { version: destination.version + 1 }),
      ...(headers && { sealedHeaders: vault.seal(JSON.stringify(headers), destination.account.id) }),
      ...(patch.enabled !== undefined && { disabledAt: patch.enabled ? null : (destination.disabledAt ?? now) }),
    }));
  }

  /**
   * Signs deliveries with a new secret, and until the overlap ends also with the current one. If an earlier overlap is
   * still running, its old secret stops at once.
   *
   * @throws DomainError BAD_USER_INPUT, NOT_FOUND
   */
  async rotateSigningSecret(id: string, overlapMs: number): Promise<DestinationEntity> {
    requireOverlap(overlapMs);
    return this.#change(id, false, ({ account, sealedSigningSecret, version }, now) => ({
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
    await fork(scope).transactional(async (em) => {
      await lockRoutesOf(em, id);
      const deleted = await em.nativeUpdate(Destination, { id }, marks);
      if (deleted === 0) {
        throw DomainError.notFound('destination');
      }
    });
    onDisabled([id]);
    return id;
  }

  /** In the caller's turn, so that nobody takes another account's. */
  async #parseTransform(expression: string | null | undefined): Promise<void> {
    const { scope, parseTransform } = this.#dependencies;
    if (typeof expression === 'string') {
      await parseTransform(scope === EVERYTHING ? EVERYTHING : scope.accountId, expression);
    }
  }

  /** What was claimed before the change is claimed again after it, so that it is sent as the destination is now. */
  async #change(
    id: string,
    changesRoutes: boolean,
    change: (destination: DestinationEntity, now: Date) => Partial<DestinationEntity>,
  ): Promise<DestinationEntity> {
    requireId(id, 'destination');
    const { fork, scope, clock, onDisabled, onChanged } = this.#dependencies;
    const changed = await fork(scope).transactional(async (em) => {
      if (changesRoutes) {
        await lockRoutesOf(em, id);
      }
      // Without the lock, the later of two concurrent rotations would not see the earlier one's secret.
      const lock = { lockMode: LockMode.PESSIMISTIC_WRITE, refresh: true } as const;
      const destination = await em.findOne(Destination, { id }, lock);
      if (destination === null) {
        throw DomainError.notFound('destination');
      }
      const now = new Date(clock.now());
      return Object.assign(destination, change(destination, now), { updatedAt: now });
    });
    if (changed.disabledAt === null) {
      onChanged(id);
    } else {
      onDisabled([id]);
    }
    return changed;
  }
}

/** The account's row is locked first, so the destination is looked up without a lock. @throws DomainError NOT_FOUND */
async function lockRoutesOf(em: EntityManager, destinationId: string): Promise<void> {
  const destination = await em.findOne(Destination, { id: destinationId }, { fields: ['id', 'account'] });
  if (destination === null || (await lockRoutes(em, destination.account.id)) === null) {
    throw DomainError.notFound('destination');
  }
}
