import { expect } from '@jest/globals';
import type { AsyncCommand } from 'fast-check';
import { type ModelAccount, type Owner, OWNERS, SNAPSHOT, type World } from './access-model.ts';
import type { GraphQLAnswer } from './api-client.ts';
import { accountWith, type Caller } from './caller.ts';
import { ADMINISTRATION, type Operation, refusesUnknown } from './operations.ts';

export const ACTORS = ['administrator', ...OWNERS] as const;
export type Actor = (typeof ACTORS)[number];

/** The API, and the ids of the two accounts, which stay the same when the accounts are gone. */
export interface Reality {
  readonly administrator: Caller;
  readonly ids: Readonly<Record<Owner, string>>;
}

/** A command by one of the three. Whatever it is, it tells an account nothing of the other, and changes only what the model says. */
abstract class Act implements AsyncCommand<World, Reality> {
  readonly actor: Actor;

  constructor(actor: Actor) {
    this.actor = actor;
  }

  check(): boolean {
    return true;
  }

  async run(world: World, reality: Reality): Promise<void> {
    const { actor } = this;
    // The token with which it is gone when the account is.
    const token = actor === 'administrator' ? undefined : (world.accounts[actor]?.token ?? 'gone');
    const caller = token === undefined ? reality.administrator : accountWith(token, reality.administrator);
    const told = await this.act(world, caller);
    for (const other of OWNERS.filter((owner) => actor !== 'administrator' && owner !== actor)) {
      expectSame(world.marksIn(told, other), []);
    }
    const { first, second } = await reality.administrator.data(SNAPSHOT, reality.ids);
    expectSame([first, second], world.toSnapshot());
  }

  /** @returns all that it was told. */
  protected abstract act(world: World, caller: Caller): Promise<string>;

  protected isGone(world: World): boolean {
    return this.actor !== 'administrator' && world.accounts[this.actor] === undefined;
  }
}

/** An operation on something of anyone's, or on nothing. */
export class Operate extends Act {
  readonly #operation: Operation;
  readonly #number: number;

  constructor(actor: Actor, operation: Operation, number: number) {
    super(actor);
    this.#operation = operation;
    this.#number = number;
  }

  protected override async act(world: World, caller: Caller): Promise<string> {
    const { field, on, text } = this.#operation;
    const id = world.pick(on, this.#number);
    const owner = world.ownerOf(on, id);
    const answer = await caller.graphql(text(id));
    if (this.isGone(world)) {
      expectUnauthenticated(answer);
    } else if (owner === undefined || (this.actor !== 'administrator' && this.actor !== owner)) {
      expectUnknown(this.#operation, answer);
    } else if (answer.errors === undefined) {
      EFFECTS[field]?.(world, owner, id, answer.data[field]);
    } else {
      expectSame([field, ...codesOf(answer)], ['retryDelivery', 'CONFLICT']);
    }
    return JSON.stringify(answer);
  }

  override toString(): string {
    return `${this.actor}: ${this.#operation.field} #${this.#number}`;
  }
}

/** What only the administrator may do, tried by an account. */
export class Administer extends Act {
  readonly #field: string;

  constructor(actor: Owner, field: string) {
    super(actor);
    this.#field = field;
  }

  protected override async act(world: World, caller: Caller): Promise<string> {
    const answer = await caller.graphql(ADMINISTRATION[this.#field] as string);
    if (this.isGone(world)) {
      expectUnauthenticated(answer);
    } else {
      expectSame([answer.data, ...codesOf(answer)], [null, 'FORBIDDEN']);
    }
    return JSON.stringify(answer);
  }

  override toString(): string {
    return `${this.actor}: ${this.#field}`;
  }
}

/** An event, sent with an account's token. */
export class Send extends Act {
  protected override async act(world: World, caller: Caller): Promise<string> {
    const owner = this.actor as Owner;
    const response = await caller.send(caller.headers['CL-X-TOKEN'] as string, '{"a":1}');
    const told = await response.text();
    if (this.isGone(world)) {
      expectSame(response.status, 401);
      return told;
    }
    const { eventId } = JSON.parse(told) as { eventId: string };
    const query = 'query ($id: ID!) { event(id: $id) { deliveries { id destination { id } } } }';
    const answer = await caller.data(query, { id: eventId });
    const deliveries = new Map<string, string>();
    world.add(owner, 'event', eventId);
    for (const { id, destination } of answer.event.deliveries) {
      world.add(owner, 'delivery', id);
      deliveries.set(id, destination.id);
    }
    const account = world.accounts[owner] as ModelAccount;
    expectSame([...deliveries.values()], [...account.headersOf.keys()]);
    account.deliveriesOf.set(eventId, deliveries);
    return told + JSON.stringify(answer);
  }

  override toString(): string {
    return `${this.actor}: send`;
  }
}

// oxlint-disable-next-line typescript/no-explicit-any -- the shape is that of each operation
type Effect = (world: World, owner: Owner, id: string, answer: any) => void;

/** What a mutation that is allowed changes. */
const EFFECTS: Readonly<Record<string, Effect>> = {
  updateAccount(world, owner) {
    accountOf(world, owner).name = 'New';
  },
  rotateAppSecretToken(world, owner, _id, { appSecretToken }) {
    accountOf(world, owner).token = appSecretToken;
    world.addToken(owner, appSecretToken);
  },
  createDestination(world, owner, _id, { id }) {
    accountOf(world, owner).headersOf.set(id, { X: '1' });
    world.add(owner, 'destination', id);
  },
  updateDestination(world, owner, id) {
    accountOf(world, owner).headersOf.set(id, { Y: '2' });
  },
  deleteDestination(world, owner, id) {
    const { headersOf, deliveriesOf } = accountOf(world, owner);
    headersOf.delete(id);
    for (const deliveries of deliveriesOf.values()) {
      for (const [delivery] of [...deliveries].filter(([, destination]) => destination === id)) {
        deliveries.delete(delivery);
      }
    }
  },
  deleteAccount(world, owner) {
    world.accounts[owner] = undefined;
  },
};

function accountOf(world: World, owner: Owner): ModelAccount {
  return world.accounts[owner] as ModelAccount;
}

function expectSame(actual: unknown, expected: unknown): void {
  expect(actual).toEqual(expected);
}

function expectUnauthenticated(answer: GraphQLAnswer): void {
  expect([answer.status, answer.data, ...codesOf(answer)]).toEqual([401, undefined, 'UNAUTHENTICATED']);
}

function expectUnknown(operation: Operation, answer: GraphQLAnswer): void {
  const { field } = operation;
  expect(codesOf(answer)).toEqual(refusesUnknown(operation) ? ['NOT_FOUND'] : []);
  expect(answer.data).toEqual(refusesUnknown(operation) ? null : { [field]: field === 'destinations' ? [] : null });
}

function codesOf({ errors }: GraphQLAnswer): string[] {
  return (errors ?? []).map(({ extensions }) => extensions.code);
}
