import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/delivery.ts';
import type { DeliveryQueue } from '../../src/queue/delivery-queue.ts';
import { QUEUES } from './backends.ts';

const TICKETS: Ticket[] = [1, 2, 3].map((number) => ({
  deliveryId: `01a20000-0000-7000-8000-00000000000${number}`,
  destinationId: '01a20000-0000-7000-8000-0000000000ff',
  accountId: '01a20000-0000-7000-8000-0000000000ee',
  attempt: number - 1,
}));

describe.each(QUEUES)('the $name queue', ({ create }) => {
  let queue: DeliveryQueue;

  beforeEach(async () => {
    queue = await create();
  });
  afterEach(() => queue.stop());

  test('hands every published ticket to the subscriber, unchanged', async () => {
    const received: Ticket[] = [];
    const all = new Promise<void>((resolve) => {
      void queue.subscribe((tickets) => {
        received.push(...tickets);
        if (received.length === TICKETS.length) {
          resolve();
        }
      });
    });
    await queue.publish(TICKETS.slice(0, 1));
    await queue.publish(TICKETS.slice(1));
    await all;
    expect(received).toEqual(TICKETS);
  });

  test('publishing never rejects, with nobody there and after the stop', async () => {
    await expect(queue.publish(TICKETS)).resolves.toBeUndefined();
    await queue.stop();
    await expect(queue.publish(TICKETS)).resolves.toBeUndefined();
  });

  test('hands over nothing after the stop, which may be asked for twice', async () => {
    const received: Ticket[] = [];
    await queue.subscribe((tickets) => void received.push(...tickets));
    await queue.stop();
    await queue.stop();
    await queue.publish(TICKETS);
    expect(received).toEqual([]);
  });
});
