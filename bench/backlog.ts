import { setTimeout as delay } from 'node:timers/promises';
import type { Backing } from './backing.ts';
import type { BareGots } from './bare-gots.ts';
import type { Context } from './context.ts';
import type { Installation } from './installation.ts';
import type { LoadCalls } from './load.ts';
import type { Drained, ReceiverCalls } from './receiver.ts';
import type { Shape } from './shape.ts';
import type { Worker } from './worker.ts';

const SETTLED_WITHIN_MS = 10_000;
/** A long backlog takes longer to post than the server would wait for the answers that are held back. */
export const PATIENT = { DELIVERY_TIMEOUT: '1h' };

export interface Tools {
  readonly receiver: Worker<ReceiverCalls>;
  readonly receiverUrl: string;
  readonly load: Worker<LoadCalls>;
  readonly connections: number;
}

/**
 * An installation with one destination, and a backlog that is posted while the receiver holds its answers
 * back, so that accepting takes no part in how fast it is worked off; see the receiver.
 */
export class Backlog {
  readonly #tools: Tools;
  readonly #backing: Backing;
  readonly #installation: Installation;
  readonly #shape: Shape;
  readonly #token: string;
  readonly #destinationId: string;
  readonly #emptyBytes: number;
  #events = 0;

  private constructor(
    parts: Tools & {
      backing: Backing;
      installation: Installation;
      shape: Shape;
      token: string;
      destinationId: string;
      emptyBytes: number;
    },
  ) {
    this.#tools = parts;
    this.#backing = parts.backing;
    this.#installation = parts.installation;
    this.#shape = parts.shape;
    this.#token = parts.token;
    this.#destinationId = parts.destinationId;
    this.#emptyBytes = parts.emptyBytes;
  }

  static async start(context: Context, tools: Tools, shape: Shape, name: 'all' | 'single'): Promise<Backlog> {
    const backing = await context.createBacking('deliver', name);
    const installation = await context.start(backing, shape, {
      variables: PATIENT,
      ...(name === 'all' && { measure: 'deliver' }),
    });
    const { id, token } = await installation.graphql.createAccount();
    const destinationId = await installation.graphql.createDestination(id, tools.receiverUrl);
    const emptyBytes = await backing.bytes();
    return new Backlog({ ...tools, backing, installation, shape, token, destinationId, emptyBytes });
  }

  get pids(): readonly number[] {
    return this.#installation.pids;
  }

  async drain(events: number): Promise<Drained> {
    const { receiver, load, connections } = this.#tools;
    await receiver.call('shut');
    await load.call('post', { url: this.#installation.ingestUrl, token: this.#token, connections, events });
    this.#events += events;
    await untilWaiting(receiver, this.#shape.inFlight);
    return receiver.call('open', events);
  }

  /** Stops the installation when all is recorded. @returns what an event has taken on the disk. */
  async finish(): Promise<number> {
    await this.#allSucceeded();
    await this.#installation.stop();
    return ((await this.#backing.bytes()) - this.#emptyBytes) / this.#events;
  }

  /** The last attempts are recorded shortly after they have arrived. */
  async #allSucceeded(): Promise<void> {
    const { graphql } = this.#installation;
    const deadline = Date.now() + SETTLED_WITHIN_MS;
    while ((await graphql.hasAny([this.#destinationId], 'PENDING')) && Date.now() < deadline) {
      await delay(50);
    }
    const succeeded = await graphql.deliveries(this.#destinationId, 'SUCCEEDED');
    if (succeeded !== this.#events) {
      throw new Error(`${this.#events} events have arrived, but ${succeeded} are recorded as delivered.`);
    }
  }
}

export async function drainGots(
  bareGots: BareGots,
  { receiver, receiverUrl }: Tools,
  order: { readonly requests: number; readonly inFlight: number },
): Promise<Drained> {
  await receiver.call('shut');
  const sent = bareGots.send({ url: receiverUrl, requests: order.requests, concurrency: order.inFlight });
  await Promise.race([untilWaiting(receiver, order.inFlight), sent]);
  const [drained] = await Promise.all([receiver.call('open', order.requests), sent]);
  return drained;
}

async function untilWaiting(receiver: Worker<ReceiverCalls>, inFlight: number): Promise<void> {
  for (const deadline = Date.now() + SETTLED_WITHIN_MS; (await receiver.call('arrivals')) < inFlight; ) {
    if (Date.now() > deadline) {
      throw new Error(`The sender does not keep ${inFlight} requests under way.`);
    }
    await delay(5);
  }
}
