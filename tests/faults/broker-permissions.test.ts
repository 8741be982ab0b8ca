import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Inbox } from '../support/inbox.ts';
import { PrivateRabbitmq, RABBITMQ_PROGRAMS } from '../support/private-rabbitmq.ts';
import { RabbitFixture } from '../support/rabbit-fixture.ts';
import { describeWhere } from '../support/requirement.ts';
import { ticketsNamed } from '../support/tickets.ts';

const OWN_QUEUE = String.raw`^data-pusher\.`;
const NOTHING = '^$';
/** The exchange that hands a message to the queue of its name. */
const DEFAULT_EXCHANGE = String.raw`^amq\.default$`;
/** An unanswered queue is removed after two. */
const REFUSALS = 5;

describeWhere(RABBITMQ_PROGRAMS !== undefined, "RabbitMQ's own programs: npm run services")(
  'RabbitMQ lets a user do less than everything',
  () => {
    let rabbitmq: PrivateRabbitmq;
    let everybody: RabbitFixture;
    let user: RabbitFixture;
    let inbox: Inbox;

    beforeAll(async () => {
      rabbitmq = await PrivateRabbitmq.start();
    });
    afterAll(() => rabbitmq.remove());
    beforeEach(() => {
      everybody = new RabbitFixture({ url: rabbitmq.url });
      inbox = new Inbox();
    });
    afterEach(async () => {
      await user.disconnect();
      await everybody.dispose();
    });

    async function userWith(name: string, permissions: { configure: string; write: string; read: string }) {
      const url = await rabbitmq.addUser(name, permissions);
      user = new RabbitFixture({ url, queueName: everybody.queueName });
    }

    test('what the manual names for an api process and for a worker is enough', async () => {
      await userWith('api', { configure: OWN_QUEUE, write: DEFAULT_EXCHANGE, read: NOTHING });
      const worker = await rabbitmq.addUser('worker', { configure: OWN_QUEUE, write: NOTHING, read: OWN_QUEUE });
      const publisher = await user.connectedQueue();
      await everybody.queue(worker).subscribe(inbox.receive);
      await everybody.heard({ fact: 'queueConnected', use: 'consume' });
      const published = ticketsNamed('allowed', 3);
      await publisher.publish(published);
      await inbox.holds(published);
      expect(everybody.count({ fact: 'queueUnavailable' }) + user.count({ fact: 'queueUnavailable' })).toBe(0);
      expect(user.detoured).toEqual([]);
    });

    test('a worker that may not read says why, and takes the queue from nobody', async () => {
      await userWith('blind', { configure: OWN_QUEUE, write: NOTHING, read: NOTHING });
      const publisher = await everybody.connectedQueue();
      const published = ticketsNamed('others', 3);
      await publisher.publish(published);
      await publisher.stop();
      const blind = user.queue();
      await blind.subscribe(() => {});
      await user.heard({ fact: 'queueUnavailable', use: 'consume' }, REFUSALS);
      const reason = expect.stringMatching(
        /^ACCESS_REFUSED - .*access to queue 'data-pusher.*refused for user 'blind'$/u,
      );
      expect(user.said).toContainEqual({ fact: 'queueUnavailable', use: 'consume', reason });
      expect(blind.isConsuming).toBe(false);
      // A queue that was deleted in between would have taken them along.
      await everybody.queue().subscribe(inbox.receive);
      await inbox.holds(published);
    });

    test('a process that may not publish says why, and its tickets go by the database', async () => {
      await userWith('mute', { configure: OWN_QUEUE, write: NOTHING, read: NOTHING });
      const mute = await user.connectedQueue();
      const published = ticketsNamed('unpublished', 3);
      await mute.publish(published);
      await user.heard({ fact: 'queueUnavailable', use: 'publish' });
      expect(user.detoured).toEqual(published);
      const reason = expect.stringMatching(/^ACCESS_REFUSED - .*'amq.default'.*refused for user 'mute'$/u);
      expect(user.said).toContainEqual({ fact: 'queueUnavailable', use: 'publish', reason });
    });

    test('a worker that may not declare the queue says why', async () => {
      await userWith('powerless', { configure: NOTHING, write: NOTHING, read: OWN_QUEUE });
      await user.queue().subscribe(() => {});
      await user.heard({ fact: 'queueUnavailable', use: 'consume' }, REFUSALS);
      const reason = expect.stringMatching(/^ACCESS_REFUSED - .*access to queue.*refused for user 'powerless'$/u);
      expect(user.said).toContainEqual({ fact: 'queueUnavailable', use: 'consume', reason });
    });
  },
);
