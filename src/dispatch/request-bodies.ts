import type { Timer } from '../core/clock.ts';
import { type ClaimedDelivery, INLINE_PAYLOAD_BYTES_MAX } from '../storage/statements.ts';
import type { Transformation, Transformed } from '../transform/transformer.ts';
import type { Payloads } from './payloads.ts';
import { TransformRooms } from './transform-rooms.ts';

/** Runs expressions. */
export interface Expressions {
  /** @returns `undefined` when it was not tried, because the process is stopping */
  transform(transformation: Transformation): Promise<Transformed | undefined>;
  close(): void;
}

/** Why there is no body: the expression has failed, there was no room in time, or no expression can be run. */
export type NoBody = { readonly failure: string } | 'delayed' | 'unavailable';

interface RequestBodiesOptions {
  readonly payloads: Payloads;
  readonly expressions: Expressions;
  readonly timer: Timer;
}

/**
 * The bodies of requests: payloads as they are, or what a destination's expression makes of them. A payload is needed
 * until it is transformed, and the result until it is sent. Both are bounded, apart from each other: who holds a payload
 * never waits for room.
 */
export class RequestBodies {
  readonly #payloads: Payloads;
  readonly #expressions: Expressions;
  readonly #rooms: TransformRooms;

  constructor({ payloads, expressions, timer }: RequestBodiesOptions) {
    this.#payloads = payloads;
    this.#expressions = expressions;
    this.#rooms = new TransformRooms(timer);
  }

  /**
   * @param use sends the body, which is `undefined` if the event was deleted meanwhile. Once `use` has settled, the
   * memory may hold another body.
   * @returns the result of `use`
   */
  async lend<Result>(
    delivery: ClaimedDelivery,
    use: (body: Buffer | NoBody | undefined) => Promise<Result>,
  ): Promise<Result> {
    const { transform: expression } = delivery;
    if (expression === null) {
      return this.#payloads.lend(delivery, use);
    }
    const room = await this.#rooms.enter(delivery);
    if (room === undefined) {
      return use('delayed');
    }
    try {
      const body = await this.#payloads.lend(delivery, (payload) => this.#bodyOf(delivery, expression, payload));
      if (!Buffer.isBuffer(body) || body.length <= INLINE_PAYLOAD_BYTES_MAX) {
        room.leave();
      }
      return await use(body);
    } finally {
      room.leave();
    }
  }

  /** Only what is being transformed already goes on. */
  stop(): void {
    this.#rooms.close();
  }

  /** Ends the transformations too. */
  close(): void {
    this.#rooms.close();
    this.#expressions.close();
  }

  async #bodyOf(
    { accountId, destinationId }: ClaimedDelivery,
    expression: string,
    payload: Buffer | undefined,
  ): Promise<Buffer | NoBody | undefined> {
    if (payload === undefined) {
      return undefined;
    }
    let result: Transformed | undefined;
    try {
      result = await this.#expressions.transform({ accountId, destinationId, expression, payload });
    } catch {
      return 'unavailable'; // The transformer has logged why.
    }
    if (result === undefined) {
      return 'delayed';
    }
    return 'body' in result ? result.body : result;
  }
}
