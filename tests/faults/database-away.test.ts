import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { setTimeout } from 'node:timers/promises';
import { Fleet, report, seconds } from '../support/fleet.ts';
import { POSTGRESQL_PROGRAMS, PrivatePostgresql } from '../support/private-postgresql.ts';
import { deleteQueue, TEST_QUEUE_URL } from '../support/rabbit-fixture.ts';
import { describeWhere } from '../support/requirement.ts';

const FROZEN_MS = 10_000;
const STOPPED_MS = 3_000;
const STOPS = 10;
const STOPS_WITH_RABBITMQ = 3;
/** An event waits for the commit that is under way and for its own; each may take the time-out of a query, 5 s. */
const REFUSED_WITHIN_MS = 11_000;
/** The most that may wait at the end of a fault: what the senders have under way, and no more. */
const RECOVERED_WITHIN_MS = 10_000;

const QUEUE_NAME = `data-pusher.test-${crypto.randomUUID()}`;
const ALONE = 'alone';
const WAYS: [string, Record<string, string>][] = [
  [ALONE, {}],
  ['with RabbitMQ', { QUEUE_URL: TEST_QUEUE_URL ?? '', QUEUE_NAME }],
];

describeWhere(
  POSTGRESQL_PROGRAMS !== undefined && TEST_QUEUE_URL !== undefined,
  "PostgreSQL's own programs, and RabbitMQ: npm run services, then TEST_QUEUE_URL=<its QUEUE_URL>",
)('PostgreSQL goes away under load', () => {
  let postgresql: PrivatePostgresql;
  let fleet: Fleet | undefined;

  beforeEach(async () => {
    postgresql = await PrivatePostgresql.start();
    fleet = undefined;
  });

  afterEach(async () => {
    await fleet?.clear();
    await postgresql.remove();
    await deleteQueue(QUEUE_NAME);
  });

  test.each(WAYS)(
    `%s, frozen for ${FROZEN_MS / 1000} s: events are refused within the time-out, and all goes on afterwards`,
    async (way, queue) => {
      fleet = await Fleet.start({ DATABASE_URL: postgresql.url, ...queue }, ['api', 'worker']);
      fleet.sendLoad();
      await fleet.load.accepted(100);
      const before = fleet.load.answers.length;
      postgresql.freeze();
      // The fault itself lasts so long; nothing is waited for.
      await setTimeout(FROZEN_MS);
      const recovered = fleet.nextNew();
      const thawed = performance.now();
      postgresql.thaw();
      const recovery = (await recovered) - thawed;
      await fleet.load.accepted(100);
      const during = fleet.load.answers.slice(before);
      const refused = during.filter(({ status }) => status !== 202);
      const slowest = Math.max(...during.map(({ durationMs }) => durationMs));
      const figures = await fleet.settle(45_000);
      report(`PostgreSQL frozen for ${FROZEN_MS / 1000} s, ${way}`, {
        ...figures,
        refused: refused.length,
        slowestAnswerSeconds: seconds(slowest),
        recoverySeconds: seconds(recovery),
      });
      expect(figures).toMatchObject({ lost: 0, repeatedTooSoon: 0, changed: 0, idsChanged: 0 });
      expect(refused.length).toBeGreaterThan(0);
      expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]));
      expect(slowest).toBeLessThan(REFUSED_WITHIN_MS);
      expect(recovery).toBeLessThan(RECOVERED_WITHIN_MS);
      expect(fleet.members.every(({ server }) => server.isRunning)).toBe(true);
    },
    90_000,
  );

  test.each(WAYS)(
    `%s, stopped in immediate mode and started ${STOPPED_MS / 1000} s later, several times: nothing is lost`,
    async (way, queue) => {
      const stops = way === ALONE ? STOPS : STOPS_WITH_RABBITMQ;
      fleet = await Fleet.start({ DATABASE_URL: postgresql.url, ...queue }, ['api', 'worker']);
      fleet.sendLoad();
      const recoveries: number[] = [];
      for (let stop = 0; stop < stops; stop += 1) {
        await fleet.load.accepted(50);
        await postgresql.stopImmediately();
        await setTimeout(STOPPED_MS);
        const recovered = fleet.nextNew();
        await postgresql.start();
        const started = performance.now();
        recoveries.push((await recovered) - started);
      }
      const refused = fleet.load.answers.filter(({ status }) => status !== 202);
      const figures = await fleet.settle(45_000);
      report(`PostgreSQL stopped ${stops} times, ${way}`, {
        ...figures,
        refused: refused.length,
        slowestRecoverySeconds: seconds(Math.max(...recoveries)),
      });
      expect(figures).toMatchObject({ lost: 0, repeatedTooSoon: 0, changed: 0, idsChanged: 0 });
      expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]));
      expect(Math.max(...recoveries)).toBeLessThan(RECOVERED_WITHIN_MS);
      expect(fleet.members.every(({ server }) => server.isRunning)).toBe(true);
    },
    120_000,
  );
});
