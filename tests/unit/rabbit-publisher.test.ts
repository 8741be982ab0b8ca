import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import * as fc from 'fast-check';
import { RabbitPublisher } from '../../src/queue/rabbit-publisher.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { idNamed } from '../support/tickets.ts';

const UNCONFIRMED_MAX = 10_000;
const ANY_ID = idNamed('any');

/** Everything that may happen to a publisher, in any order. */
const EVENT = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('publish' as const), tickets: fc.integer({ min: 1, max: 250 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'publish' as const, tickets: UNCONFIRMED_MAX + 1 }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'open' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'lose' as const }, { kind: 'end' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('block' as const), isBlocked: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('confirm' as const), messages: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('return' as const), messages: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('nack' as const), messages: fc.integer({ min: 1, max: 2 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 0, 0, 1, 400, 3_000, 6_000) }),
  },
);
type Event = typeof EVENT extends fc.Arbitrary<infer Value> ? Value : never;

/** One publisher with its broker, and the account of every ticket. */
class Trial {
  /** Of these nobody has heard the last. */
  readonly open = new Set<string>();
  readonly broker = new FakeBroker((tickets) => {
    for (const { deliveryId } of tickets) {
      this.open.delete(deliveryId);
    }
  });
  published = 0;
  refused = 0;
  /** Twice, or after the broker has confirmed them. A confirmation that comes after the refusal came too late. */
  readonly refusedWrongly: string[] = [];
  readonly reasons: string[] = [];
  readonly publisher = new RabbitPublisher({
    url: 'amqp://127.0.0.1',
    queueName: 'any',
    random: () => 0,
    declare: async () => {},
    telemetry: {
      queueConnected: () => {},
      queueUnavailable: () => {},
      queueMessageDropped: () => {},
      ticketsNotPublished: ({ reason }) => this.reasons.push(reason),
    },
    refused: (tickets) => {
      this.refused += tickets.length;
      for (const { deliveryId } of tickets) {
        if (!this.open.delete(deliveryId)) {
          this.refusedWrongly.push(deliveryId);
        }
      }
    },
    createConnection: this.broker.createConnection,
  });

  publish(count: number): void {
    const tickets = Array.from({ length: count }, (_, index) => ({
      deliveryId: numbered(this.published + index),
      destinationId: ANY_ID,
      accountId: ANY_ID,
      attempt: 0,
    }));
    this.published += count;
    for (const { deliveryId } of tickets) {
      this.open.add(deliveryId);
    }
    this.publisher.publish(tickets);
  }

  async do(event: Event): Promise<void> {
    const { broker } = this;
    switch (event.kind) {
      case 'publish':
        return this.publish(event.tickets);
      case 'open':
        return broker.open();
      case 'lose':
        return broker.lose();
      case 'end':
        return broker.end();
      case 'block':
        return broker.block(event.isBlocked);
      case 'confirm':
        return broker.answer(event.messages, null);
      case 'nack':
        return broker.answer(event.messages, new Error('message nacked'));
      case 'return':
        return broker.giveBack(event.messages);
      case 'wait':
        await jest.advanceTimersByTimeAsync(event.ms);
        return undefined;
    }
  }
}

describe('the publisher, whatever happens in whatever order,', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('has each ticket confirmed or refused, and refuses none twice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(EVENT, { maxLength: 40 }), fc.array(EVENT, { maxLength: 6 }), async (before, after) => {
        const trial = new Trial();
        for (const event of before) {
          await trial.do(event);
          expect(trial.open.size).toBeLessThanOrEqual(UNCONFIRMED_MAX);
        }
        const stopped = trial.publisher.stop();
        const { sent } = trial.broker;
        for (const event of after) {
          await trial.do(event);
        }
        await jest.advanceTimersByTimeAsync(1_000);
        await stopped;
        expect(trial.open.size).toBe(0);
        expect(trial.refusedWrongly).toEqual([]);
        expect(trial.broker.sent).toBe(sent);
        expect(jest.getTimerCount()).toBe(0);
      }),
      { numRuns: 2_000 },
    );
  }, 120_000);

  test('has room for as many tickets as ever once the broker is well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(EVENT, { maxLength: 40 }), async (events) => {
        const trial = new Trial();
        for (const event of events) {
          await trial.do(event);
        }
        trial.broker.lose();
        await trial.broker.open();
        expect(trial.open.size).toBe(0);
        const { refused } = trial;
        trial.publish(UNCONFIRMED_MAX);
        expect(trial.refused).toBe(refused);
        trial.publish(1);
        expect(trial.reasons.at(-1)).toBe('too many wait for the broker');
        await jest.advanceTimersByTimeAsync(0);
        trial.broker.answer(trial.broker.unanswered, null);
        expect(trial.open.size).toBe(0);
        trial.publish(UNCONFIRMED_MAX);
        expect(trial.refused).toBe(refused + 1);
        trial.broker.lose();
      }),
      { numRuns: 50 },
    );
  }, 120_000);

  test('gives a broker that confirms nothing up after seconds', async () => {
    const trial = new Trial();
    await trial.broker.open();
    trial.publish(150);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(trial.refused).toBe(150);
    expect(trial.reasons).toContain('the broker did not confirm them');
    expect(trial.publisher.isOpen).toBe(false);
    await trial.publisher.stop();
  });
});

function numbered(number: number): string {
  return ANY_ID.slice(0, -8) + number.toString(16).padStart(8, '0');
}
