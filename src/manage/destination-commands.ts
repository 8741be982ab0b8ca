import {
  DESTINATIONS_PER_ACCOUNT_MAX,
  type HttpMethod,
  parseDestinationUrl,
  parseHeaders,
} from '../core/destination-input.ts';
import { DomainError } from '../core/errors.ts';
import { requireId } from '../core/ids.ts';
import { LockMode } from '../storage/conflicts.ts';
import { Account, Destination, type DestinationEntity } from '../storage/entities/index.ts';
import type { CommandDependencies } from './account-commands.ts';

export interface NewDestination {
  readonly accountId: string;
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A key that is absent stays as it is. */
export type DestinationPatch = Partial<Omit<NewDestination, 'accountId'>>;

export class DestinationCommands {
  readonly #dependencies: CommandDependencies;

  constructor(dependencies: CommandDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws DomainError BAD_USER_INPUT, NOT_FOUND, CONFLICT */
  async create({ accountId, ...fields }: NewDestination): Promise<DestinationEntity> {
    const { fork, clock, newId } = this.#dependencies;
    const now = new Date(clock.now());
    const parsed = parsePatch(fields) as Required<ReturnType<typeof parsePatch>>;
    requireId(accountId, 'account');
    return fork().transactional(async (em) => {
      // Locked, so that two of these at the same time count each other.
      const account = await em.findOne(Account, { id: accountId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (account === null) {
        throw DomainError.notFound('account');
      }
      if ((await em.count(Destination, { account })) >= DESTINATIONS_PER_ACCOUNT_MAX) {
        throw DomainError.conflict(`An account has at most ${DESTINATIONS_PER_ACCOUNT_MAX} destinations.`);
      }
      return em.create(Destination, { id: newId(), account, ...parsed, createdAt: now, updatedAt: now });
    });
  }

  /** Attempts that begin from now on use the new settings. @throws DomainError BAD_USER_INPUT, NOT_FOUND */
  async update(id: string, patch: DestinationPatch): Promise<DestinationEntity> {
    const { fork, clock } = this.#dependencies;
    const fields = parsePatch(patch);
    requireId(id, 'destination');
    return fork().transactional(async (em) => {
      const destination = await em.findOne(Destination, { id });
      if (destination === null) {
        throw DomainError.notFound('destination');
      }
      return Object.assign(destination, fields, { updatedAt: new Date(clock.now()) });
    });
  }

  /** Deletes its deliveries and attempts too. @throws DomainError NOT_FOUND */
  async delete(id: string): Promise<string> {
    requireId(id, 'destination');
    const deleted = await this.#dependencies.fork().transactional((em) => em.nativeDelete(Destination, { id }));
    if (deleted === 0) {
      throw DomainError.notFound('destination');
    }
    return id;
  }
}

function parsePatch({ url, httpMethod, headers }: DestinationPatch) {
  return {
    ...(url !== undefined && { url: parseDestinationUrl(url) }),
    ...(httpMethod !== undefined && { httpMethod }),
    ...(headers !== undefined && { headers: parseHeaders(headers) }),
  };
}
