import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Inbox } from '../support/inbox.ts';
import { RabbitFixture, TEST_QUEUE_NEED, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { describeWhere } from '../support/requirement.ts';
import { ticketsNamed } from '../support/tickets.ts';

/** As the product declares it: a script that cleans a broker up may do the same. */
const DECLARATION = {
  durable: true,
  arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 20, 'x-message-ttl': 30_000 },
};

describeWhere(TEST_QUEUE_URL !== undefined, TEST_QUEUE_NEED)('a consumer on RabbitMQ', () => {
  let fixture: RabbitFixture;

  beforeEach(() => {
    fixture = new RabbitFixture();
  });
  afterEach(() => fixture.dispose());

  async function consumer(inbox: Inbox) {
    const before = fixture.count({ fact: 'queueConnected', use: 'consume' });
    const queue = fixture.queue();
    await queue.subscribe(inbox.receive);
    await fixture.heard({ fact: 'queueConnected', use: 'consume' }, before + 1);
    return queue;
  }

  test('that lost its queue to one of the same name gets its tickets within seconds, and says so', async () => {
    const inboxes = [new Inbox(), new Inbox()];
    for (const inbox of inboxes) {
      await consumer(inbox);
    }
    await fixture.raw(async (channel) => {
      await channel.deleteQueue(fixture.queueName);
      await channel.assertQueue(fixture.queueName, DECLARATION);
    });
    const publisher = await fixture.connectedQueue();
    const published = ticketsNamed('after', 1_000);
    const began = performance.now();
    await publisher.publish(published);
    while (new Set(inboxes.flatMap(({ received }) => received.map(({ deliveryId }) => deliveryId))).size < 1_000) {
      await Promise.race(inboxes.map((inbox) => inbox.next()));
    }
    // A ticket lives for 30 s: what was not handed over by then is gone.
    expect(performance.now() - began).toBeLessThan(25_000);
    const reason = expect.stringContaining('lost this consumer');
    expect(fixture.said).toContainEqual({ fact: 'queueUnavailable', use: 'consume', reason });
    expect(fixture.count({ fact: 'queueConnected', use: 'consume' })).toBe(2);
  });

  test('gets what was published by one who had published to the former queue', async () => {
    const publisher = await fixture.connectedQueue();
    const inbox = new Inbox();
    const before = ticketsNamed('before', 3);
    await consumer(inbox);
    await publisher.publish(before);
    await inbox.holds(before);
    await fixture.raw(async (channel) => {
      await channel.deleteQueue(fixture.queueName);
      await channel.assertQueue(fixture.queueName, DECLARATION);
    });
    const after = ticketsNamed('after', 3);
    await publisher.publish(after);
    await inbox.holds(after);
    expect(fixture.detoured).toEqual([]);
  });

  test('says whether it consumes, and lets deliveries wait for their tickets only then', async () => {
    const queue = fixture.queue();
    expect(queue.isConsuming).toBe(false);
    expect(queue.visibilityMs).toBe(0);
    await queue.subscribe(() => {});
    await fixture.heard({ fact: 'queueConnected', use: 'consume' });
    expect(queue.isConsuming).toBe(true);
    expect(queue.visibilityMs).toBe(30_000);
    await queue.stop();
    expect(queue.isConsuming).toBe(false);
    expect(queue.visibilityMs).toBe(0);
  });
});
