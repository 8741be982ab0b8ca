import { pino } from 'pino';
import { AccountCommands } from '../../src/manage/account-commands.ts';
import { DestinationCommands, type DestinationPatch } from '../../src/manage/destination-commands.ts';
import { createIdSource, type IdSource } from '../../src/core/ids.ts';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { AttemptOutcome, Ticket } from '../../src/core/delivery.ts';
import type { Claims } from '../../src/storage/delivery-store.ts';
import type { Route } from '../../src/storage/event-store.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { Telemetry } from '../../src/observe/telemetry.ts';
import { Transformer } from '../../src/transform/transformer.ts';

export const NOW = Date.UTC(2026, 0, 1);
export const DELIVERED: AttemptOutcome = {
  startedAt: NOW,
  durationMs: 12,
  statusCode: 200,
  error: null,
  message: null,
  responseBody: Buffer.from([0, 1, 255]),
};

/** Starts a process only when an expression is set. */
const transformer = new Transformer({ telemetry: new Telemetry(pino({ level: 'silent' })) });

/** Routes any event in this thread. */
export const routeAtOnce: Route = (routes, event) => routes.route(event);

/** Fills a store through the product's own commands. */
export class StoreFixture {
  readonly newId: IdSource = createIdSource({ now: () => NOW });
  readonly #storage: () => Storage;

  constructor(storage: () => Storage) {
    this.#storage = storage;
  }

  get #commands() {
    const { fork, vault } = this.#storage();
    const clock = { now: () => NOW };
    const dependencies = {
      scope: EVERYTHING,
      fork,
      vault,
      clock,
      newId: this.newId,
      addressRule: undefined,
      onDisabled: () => {},
      onChanged: () => {},
      parseTransform: (callerId: string, expression: string) => transformer.parse(callerId, expression),
    };
    return { accounts: new AccountCommands(dependencies), destinations: new DestinationCommands(dependencies) };
  }

  /** @returns the account's token and the ids of its destinations. */
  async account(destinationCount: number): Promise<{ id: string; token: string; destinationIds: string[] }> {
    const email = `${this.newId()}@example.com`;
    const { id, sealedToken } = await this.#commands.accounts.create({ email, name: 'Test', website: null });
    const destinationIds: string[] = [];
    for (let number = 1; number <= destinationCount; number += 1) {
      const headers = { 'X-Number': `${number}`, 'x-many': ['1', '2'] };
      destinationIds.push(await this.destination(id, `http://127.0.0.1/${number}`, headers));
    }
    return { id, token: this.#storage().vault.open(sealedToken, id), destinationIds };
  }

  /** @returns the account's new token. */
  async rotateToken(id: string): Promise<string> {
    return this.#storage().vault.open((await this.#commands.accounts.rotateToken(id)).sealedToken, id);
  }

  /** @returns its id. */
  async destination(accountId: string, url: string, headers: Record<string, unknown>): Promise<string> {
    return (await this.#commands.destinations.create({ accountId, url, httpMethod: 'POST', headers })).id;
  }

  async deleteAccount(id: string): Promise<void> {
    await this.#commands.accounts.delete(id);
  }

  async deleteDestination(id: string): Promise<void> {
    await this.#commands.destinations.delete(id);
  }

  async updateDestination(id: string, patch: DestinationPatch): Promise<void> {
    await this.#commands.destinations.update(id, patch);
  }

  async rotateSigningSecret(id: string, overlapMs: number): Promise<void> {
    await this.#commands.destinations.rotateSigningSecret(id, overlapMs);
  }

  /** @returns the tickets of an event that must be accepted. */
  async event(token: string, receivedAt = NOW, payload = Buffer.from('{"a":1}')): Promise<readonly Ticket[]> {
    const event = { id: this.newId(), token, payload, type: null, idempotencyKey: null, receivedAt, hops: 0 };
    const accepted = await this.#storage().events.accept(event, routeAtOnce);
    if (accepted === undefined) {
      throw new Error('The event was not accepted.');
    }
    return accepted.tickets;
  }

  /** @returns the ticket of an event of an account with one destination. */
  async ticket(receivedAt = NOW): Promise<Ticket> {
    const { token } = await this.account(1);
    const [ticket] = await this.event(token, receivedAt);
    return ticket as Ticket;
  }
}

/** What a claim of a single delivery has found. */
export async function firstClaimed(answer: Promise<Claims>): Promise<ClaimedDelivery | undefined> {
  return (await answer).claimed[0];
}
