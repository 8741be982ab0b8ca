import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { Inbox } from '../support/inbox.ts';
import { brokerUrl, RabbitFixture, TEST_QUEUE_NEED, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { describeWhere } from '../support/requirement.ts';
import { ticketsNamed } from '../support/tickets.ts';

describeWhere(TEST_QUEUE_URL !== undefined, TEST_QUEUE_NEED)('the RabbitMQ queue', () => {
  let fixture: RabbitFixture;
  let proxy: CuttingProxy;
  let inbox: Inbox;

  beforeEach(async () => {
    fixture = new RabbitFixture();
    proxy = await CuttingProxy.start(new URL(brokerUrl()));
    inbox = new Inbox();
  });
  afterEach(async () => {
    await fixture.dispose();
    await proxy.stop();
  });

  function queueBehindProxy() {
    const url = new URL(brokerUrl());
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    return fixture.queue(url.href);
  }

  async function connectedQueueBehindProxy() {
    const queue = queueBehindProxy();
    await queue.subscribe(inbox.receive);
    queue.connect();
    await fixture.heard({ fact: 'queueConnected' }, 2);
    return queue;
  }

  test('many tickets published in one turn travel as few messages, of ids and nothing else', async () => {
    const queue = await fixture.connectedQueue();
    const published = ticketsNamed('one-turn', 130);
    await Promise.all(published.map((ticket) => queue.publish([ticket])));
    await queue.stop();
    const contents = await fixture.raw(async (channel) => {
      const messages = [await channel.get(fixture.queueName), await channel.get(fixture.queueName)];
      return messages.map((message) => message && message.content.toString());
    });
    const rows = published.map(({ deliveryId, destinationId, accountId, attempt }) => [
      deliveryId,
      destinationId,
      accountId,
      attempt,
    ]);
    expect(contents).toEqual([
      JSON.stringify({ version: 1, tickets: rows.slice(0, 100) }),
      JSON.stringify({ version: 1, tickets: rows.slice(100) }),
    ]);
    expect(fixture.count({ fact: 'ticketsNotPublished' })).toBe(0);
  });

  test('of several subscribers each ticket reaches one', async () => {
    const other = new Inbox();
    await fixture.queue().subscribe(inbox.receive);
    await fixture.queue().subscribe(other.receive);
    await fixture.heard({ fact: 'queueConnected', use: 'consume' }, 2);
    const published = ticketsNamed('shared', 1_000);
    const publisher = await fixture.connectedQueue();
    await publisher.publish(published);
    await publisher.stop();
    while (inbox.received.length + other.received.length < published.length) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ids = [...inbox.received, ...other.received].map(({ deliveryId }) => deliveryId);
    expect(new Set(ids).size).toBe(1_000);
    expect(ids).toHaveLength(1_000);
    expect(inbox.received.length).toBeGreaterThan(0);
    expect(other.received.length).toBeGreaterThan(0);
  });

  test('connects again whenever its connections are cut, and works as before', async () => {
    const queue = await connectedQueueBehindProxy();
    for (let round = 1; round <= 3; round += 1) {
      proxy.cut();
      await fixture.heard({ fact: 'queueConnected' }, 2 + 2 * round);
      const published = ticketsNamed(`round-${round}`, 3);
      await queue.publish(published);
      await inbox.holds(published);
    }
    expect(fixture.count({ fact: 'queueUnavailable' })).toBeGreaterThanOrEqual(6);
  });

  test('starts without a broker: tickets go by the database at once, and by the broker when there is one', async () => {
    proxy.close();
    const queue = queueBehindProxy();
    await queue.subscribe(inbox.receive);
    expect(queue.visibilityMs).toBe(0);
    const early = ticketsNamed('early', 3);
    await queue.publish(early);
    await inbox.holds(early);
    expect(fixture.detoured).toEqual(early);
    await fixture.heard({ fact: 'queueUnavailable', use: 'publish' }, 2);
    await fixture.heard({ fact: 'queueUnavailable', use: 'consume' }, 2);
    proxy.open();
    await fixture.heard({ fact: 'queueConnected' }, 2);
    expect(queue.visibilityMs).toBeGreaterThan(0);
    const late = ticketsNamed('late', 3);
    await queue.publish(late);
    await inbox.holds(late);
    expect(inbox.received).toEqual([...early, ...late]);
    expect(fixture.detoured).toEqual(early);
  });

  test('what was sent and not confirmed when the connection was cut goes by the database', async () => {
    const publisher = queueBehindProxy();
    publisher.connect();
    await fixture.heard({ fact: 'queueConnected' });
    const published = ticketsNamed('unconfirmed', 3);
    await publisher.publish(published);
    // The message is written in the same turn of the event loop, and never gets further than the proxy.
    await new Promise((resolve) => setImmediate(resolve));
    proxy.cut();
    await fixture.heard({ fact: 'ticketsNotPublished' });
    expect(fixture.detoured).toEqual(published);
  });

  test('what is published after the stop, and what the stop cuts off, goes by the database', async () => {
    const queue = await fixture.connectedQueue();
    const [before, after] = [ticketsNamed('before', 2), ticketsNamed('after', 2)];
    await queue.publish(before);
    await queue.stop();
    await queue.publish(after);
    await queue.stop();
    expect(fixture.detoured).toEqual(after);
    await fixture.queue().subscribe(inbox.receive);
    await inbox.holds(before);
    expect(inbox.received).toEqual(before);
  });

  test('a message outlives the subscriber that died before it could acknowledge', async () => {
    const published = ticketsNamed('survivor', 2);
    const publisher = await fixture.connectedQueue();
    await publisher.publish(published);
    await publisher.stop();
    const dying = queueBehindProxy();
    await new Promise<void>((resolve) => {
      void dying.subscribe((some) => {
        proxy.close();
        expect(some).toEqual(published);
        resolve();
      });
    });
    await dying.stop();
    await fixture.queue().subscribe(inbox.receive);
    await inbox.holds(published);
  });

  test('what cannot be read, or is of a later version, is dropped once and blocks nothing', async () => {
    const queue = fixture.queue();
    await queue.subscribe(inbox.receive);
    queue.connect();
    await fixture.heard({ fact: 'queueConnected' }, 2);
    const unreadable = [
      '',
      'null',
      '[]',
      '{"version":2,"tickets":[]}',
      '{"version":1}',
      '{"version":1,"tickets":[["a"]]}',
      '{"version":1,"tickets":[["x","y","z",0]]}',
      ' '.repeat(2_000_000),
    ];
    await fixture.raw(async (channel) => {
      for (const content of unreadable) {
        channel.sendToQueue(fixture.queueName, Buffer.from(content), { persistent: true });
      }
      await channel.waitForConfirms();
    });
    await queue.publish(ticketsNamed('good', 1));
    await inbox.holds(ticketsNamed('good', 1));
    await queue.stop();
    expect(fixture.count({ fact: 'queueMessageDropped' })).toBe(unreadable.length);
    expect(fixture.count({ fact: 'queueMessageDropped', reason: 'The version is unknown.' })).toBe(2);
    expect(await fixture.raw((channel) => channel.get(fixture.queueName))).toBe(false);
  });

  test('declares its queue anew when the broker has lost it', async () => {
    const queue = await connectedQueueBehindProxy();
    await fixture.raw((channel) => channel.deleteQueue(fixture.queueName));
    await fixture.heard({ fact: 'queueConnected', use: 'consume' }, 2);
    await queue.publish(ticketsNamed('anew', 1));
    await inbox.holds(ticketsNamed('anew', 1));
    expect(inbox.received).toEqual(ticketsNamed('anew', 1));
  });

  test('what is published to a queue that is gone goes by the database, and the queue is declared anew', async () => {
    const queue = await fixture.connectedQueue();
    await fixture.raw((channel) => channel.deleteQueue(fixture.queueName));
    await queue.publish(ticketsNamed('gone', 150));
    await fixture.heard({ fact: 'queueConnected', use: 'publish' }, 2);
    expect(fixture.detoured).toEqual(ticketsNamed('gone', 150));
    await queue.subscribe(inbox.receive);
    await queue.publish(ticketsNamed('anew', 1));
    await inbox.holds(ticketsNamed('anew', 1));
  });

  test('a receiver that fails costs a connection, and neither the process nor the tickets', async () => {
    const published = ticketsNamed('again', 1);
    const queue = fixture.queue();
    await queue.subscribe((some) => {
      inbox.receive(some);
      if (inbox.received.length === 1) {
        throw new Error('The receiver fails.');
      }
    });
    queue.connect();
    await fixture.heard({ fact: 'queueConnected' }, 2);
    await queue.publish(published);
    await fixture.heard({ fact: 'queueUnavailable', use: 'consume' });
    while (inbox.received.length < 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(inbox.received).toEqual([...published, ...published]);
  });

  test('stops at once while a broker that does not answer is waited for', async () => {
    proxy.fallSilent();
    const queue = queueBehindProxy();
    await queue.subscribe(inbox.receive);
    queue.connect();
    const began = performance.now();
    await queue.stop();
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
