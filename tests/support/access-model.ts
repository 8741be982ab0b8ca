import type { Kind } from './operations.ts';

export const OWNERS = ['first', 'second'] as const;
export type Owner = (typeof OWNERS)[number];

/** What the model knows of an account, and a snapshot tells of it. Deliveries are named with their destinations. */
export interface ModelAccount {
  readonly id: string;
  token: string;
  name: string;
  readonly headersOf: Map<string, unknown>;
  readonly deliveriesOf: Map<string, Map<string, string>>;
}

/** What there is, and whose it is: nothing else decides what an answer may be. */
export class World {
  readonly accounts: Record<Owner, ModelAccount | undefined>;
  /** Every id and token there ever was, by whose it was; it stays when the thing is gone. */
  readonly #marks: Record<Owner, Set<string>> = { first: new Set(), second: new Set() };
  readonly #ids: Record<Kind, string[]> = { account: [], destination: [], event: [], delivery: [] };

  constructor(accounts: Record<Owner, ModelAccount>) {
    this.accounts = accounts;
    for (const owner of OWNERS) {
      const { id, token, headersOf, deliveriesOf } = accounts[owner];
      this.add(owner, 'account', id);
      this.addToken(owner, token);
      for (const destination of headersOf.keys()) {
        this.add(owner, 'destination', destination);
      }
      for (const [event, deliveries] of deliveriesOf) {
        this.add(owner, 'event', event);
        for (const delivery of deliveries.keys()) {
          this.add(owner, 'delivery', delivery);
        }
      }
    }
  }

  add(owner: Owner, kind: Kind, id: string): void {
    this.#ids[kind].push(id);
    this.#marks[owner].add(id);
  }

  addToken(owner: Owner, token: string): void {
    this.#marks[owner].add(token);
  }

  /** One of all there ever was of a kind, or something that never was. */
  pick(kind: Kind, number: number): string {
    const ids = this.#ids[kind];
    return ids[number % (ids.length + 1)] ?? '00000000-0000-7000-8000-000000000000';
  }

  ownerOf(kind: Kind, id: string): Owner | undefined {
    return OWNERS.find((owner) => {
      const account = this.accounts[owner];
      return account !== undefined && idsOf(account, kind).includes(id);
    });
  }

  /** What of an account's ids and tokens is in a text. */
  marksIn(told: string, owner: Owner): string[] {
    return [...this.#marks[owner]].filter((mark) => told.includes(mark));
  }

  /** As `snapshotOf` tells it. */
  toSnapshot(): unknown {
    return OWNERS.map((owner) => {
      const account = this.accounts[owner];
      return account === undefined
        ? null
        : {
            name: account.name,
            appSecretToken: account.token,
            destinations: [...account.headersOf].map(([id, headers]) => ({ id, headers })),
            events: {
              // Newest first.
              nodes: Array.from([...account.deliveriesOf].toReversed(), ([id, deliveries]) => ({
                id,
                deliveries: Array.from(deliveries, ([delivery, destination]) => ({
                  id: delivery,
                  destination: { id: destination },
                })),
              })),
            },
          };
    });
  }
}

export const SNAPSHOT = `query ($first: ID!, $second: ID!) { first: account(id: $first) { ...all } second: account(id: $second) { ...all } }
  fragment all on Account { name appSecretToken destinations { id headers }
    events(first: 100) { nodes { id deliveries { id destination { id } } } } }`;

function idsOf({ id, headersOf, deliveriesOf }: ModelAccount, kind: Kind): string[] {
  return {
    account: [id],
    destination: [...headersOf.keys()],
    event: [...deliveriesOf.keys()],
    delivery: [...deliveriesOf.values()].flatMap((deliveries) => Array.from(deliveries.keys())),
  }[kind];
}
