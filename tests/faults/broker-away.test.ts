import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { setTimeout } from 'node:timers/promises';
import { encodeTickets } from '../../src/queue/ticket-message.ts';
import { type Figures, Fleet, report, seconds } from '../support/fleet.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { PrivateRabbitmq, RABBITMQ_PROGRAMS } from '../support/private-rabbitmq.ts';
import { describeWhere } from '../support/requirement.ts';

const QUEUE_NAME = 'data-pusher.deliveries';
const AWAY_MS = 3_000;
const ALARM_MS = 6_000;
/** A new queue that is not settled yet: a broker may not know it rightly when it comes back. */
const NEW_QUEUE_LIVES_MS = [0, 4_000];
/** Deliveries go on without the broker: it is away for longer. */
const STANDSTILL_MS_MAX = 5_000;
/** What a ticket that is lost costs at the most: its delivery waits 30 s for the sweeper. */
const DELIVERED_WITHIN_MS = 40_000;

/** Twice the 10 s in which a queue that is dead does not answer, before it is removed. */
const HEALED_WITHIN_MS = 60_000;

interface Harm extends Omit<Figures, 'acknowledged'> {
  /** Events that were not accepted. */
  readonly refused: number;
  /** Processes that run no more. */
  readonly ended: number;
}

interface Conclusion extends Harm {
  readonly standstillMs: number;
  readonly slowestDeliveryMs: number;
}

/** A broker that is away disturbs no attempt, so nothing is sent twice either. */
const NO_HARM: Harm = {
  lost: 0,
  duplicated: 0,
  repeatedTooSoon: 0,
  changed: 0,
  idsChanged: 0,
  refused: 0,
  ended: 0,
};

describeWhere(
  TEST_DATABASE_URL !== undefined && RABBITMQ_PROGRAMS !== undefined,
  "PostgreSQL, and RabbitMQ's own programs: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>",
)('RabbitMQ goes away under load', () => {
  let database: TemporaryDatabase;
  let rabbitmq: PrivateRabbitmq;
  let fleet: Fleet;

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    rabbitmq = await PrivateRabbitmq.start();
    fleet = await Fleet.start({ DATABASE_URL: database.url, QUEUE_URL: rabbitmq.url, QUEUE_NAME }, ['api', 'worker']);
    await takesMessages();
    fleet.sendLoad();
    await fleet.load.accepted(50);
  });

  afterEach(async () => {
    await fleet.clear();
    await rabbitmq.remove();
    await database.drop();
  });

  test.each([
    ['killed and restarted', false],
    ['killed, wiped and restarted', true],
  ])(
    '%s: no event is refused, lost or sent twice',
    async (fault, isWiped) => {
      const standstills: number[] = [];
      for (let round = 0; round < 2; round += 1) {
        standstills.push(
          await standstillIn(async () => {
            await rabbitmq.kill();
            if (isWiped) {
              rabbitmq.wipe();
            }
            await setTimeout(AWAY_MS);
            await rabbitmq.start();
          }),
        );
      }
      const { standstillMs, slowestDeliveryMs, ...harm } = await conclude(`RabbitMQ ${fault}`, standstills);
      expect(harm).toEqual(NO_HARM);
      expect(standstillMs).toBeLessThan(STANDSTILL_MS_MAX);
      expect(slowestDeliveryMs).toBeLessThan(DELIVERED_WITHIN_MS);
    },
    120_000,
  );

  test("killed within 5 s of the queue's first declaration, and restarted: no event is refused, lost or sent twice", async () => {
    const standstills: number[] = [];
    for (const lifeMs of NEW_QUEUE_LIVES_MS) {
      await rabbitmq.kill();
      rabbitmq.wipe();
      await rabbitmq.start();
      await rabbitmq.said(/started cluster %2F_data-pusher\.deliveries/u);
      await setTimeout(lifeMs);
      standstills.push(
        await standstillIn(async () => {
          await rabbitmq.kill();
          await rabbitmq.start();
        }),
      );
    }
    const { standstillMs, slowestDeliveryMs, ...harm } = await conclude(
      'RabbitMQ killed with a new queue',
      standstills,
    );
    expect(harm).toEqual(NO_HARM);
    expect(standstillMs).toBeLessThan(STANDSTILL_MS_MAX);
    expect(slowestDeliveryMs).toBeLessThan(DELIVERED_WITHIN_MS);
  }, 180_000);

  test('under a disk alarm: no event is refused, lost or sent twice, and deliveries go on', async () => {
    const standstill = await standstillIn(async () => {
      await rabbitmq.raiseDiskAlarm();
      await fleet.api.said(/tickets go by the database/u, 'stderr');
      await setTimeout(ALARM_MS);
      await rabbitmq.clearDiskAlarm();
    });
    const { standstillMs, slowestDeliveryMs, ...harm } = await conclude('RabbitMQ under a disk alarm', [standstill]);
    expect(harm).toEqual(NO_HARM);
    expect(standstillMs).toBeLessThan(STANDSTILL_MS_MAX);
    expect(slowestDeliveryMs).toBeLessThan(DELIVERED_WITHIN_MS);
  }, 180_000);

  /** @returns how long it took from the fault's beginning until a later event was delivered, in milliseconds. */
  async function standstillIn(fault: () => Promise<void>): Promise<number> {
    const began = performance.now();
    const recovered = fleet.nextNew();
    await fault();
    await takesMessages();
    await fleet.load.accepted(100);
    return (await recovered) - began;
  }

  /** Resolves when both processes are connected, and the queue confirms. */
  async function takesMessages(): Promise<void> {
    await rabbitmq.said(/data-pusher publish\): user/u);
    const model = await connect(rabbitmq.url);
    try {
      await fleet.api.eventually(
        () => consumers(model),
        (count) => count === 1,
        HEALED_WITHIN_MS,
      );
      const channel = await model.createConfirmChannel();
      channel.sendToQueue(QUEUE_NAME, encodeTickets([]));
      await channel.waitForConfirms();
    } finally {
      await model.close();
    }
  }

  async function conclude(fault: string, standstills: readonly number[]): Promise<Conclusion> {
    const refused = fleet.load.answers.filter(({ status }) => status !== 202).length;
    const { acknowledged, ...figures } = await fleet.settle(45_000);
    const ended = fleet.members.filter(({ server }) => !server.isRunning).length;
    const standstillMs = Math.max(...standstills);
    const { slowestDeliveryMs } = fleet;
    const harm = { ...figures, refused, ended };
    report(fault, {
      acknowledged,
      ...harm,
      recoverySeconds: seconds(standstillMs),
      slowestDeliverySeconds: seconds(slowestDeliveryMs),
    });
    return { ...harm, standstillMs, slowestDeliveryMs };
  }
});

/** How many there are of a queue that may not exist yet. */
async function consumers(model: ChannelModel): Promise<number> {
  const channel = await model.createChannel();
  // The broker closes the channel that asks for a queue that it does not know.
  channel.on('error', () => {});
  try {
    const { consumerCount } = await channel.checkQueue(QUEUE_NAME);
    await channel.close();
    return consumerCount;
  } catch {
    return 0;
  }
}
