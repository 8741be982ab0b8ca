import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket, TicketLane } from '../../src/core/delivery.ts';
import type { Notifier } from '../../src/core/notifier.ts';
import { NotifyQueue } from '../../src/queue/notify-queue.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { idNamed } from '../support/tickets.ts';
import { TEST_VAULT } from '../support/vault.ts';
import { describeWhere } from '../support/requirement.ts';

const ACCOUNT = idNamed('account');
const TICKETS = ticketsFor(1);
const LANES = lanesOf(TICKETS);

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('the queue of processes that share a database only', () => {
  let database: TemporaryDatabase;
  let accepting: Storage;
  let dispatching: Storage;
  let queues: NotifyQueue[];

  beforeEach(async () => {
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
    accepting = await openStorage({ type: 'postgresql', url: database.url }, TEST_VAULT);
    dispatching = await openStorage({ type: 'postgresql', url: database.url }, TEST_VAULT);
    queues = [accepting, dispatching].map(({ notifier }) => new NotifyQueue(notifier as Notifier));
  });

  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.stop()));
    await accepting.close();
    await dispatching.close();
    await database.drop();
  });

  test('a process that only accepts wakes the one that dispatches, and tells it where to look', async () => {
    const rings = listen();
    await expect(rings.next()).resolves.toBe('everywhere');
    await queues[0]?.publish([]);
    await queues[0]?.publish(TICKETS);
    await expect(rings.next()).resolves.toEqual(LANES);
  });

  test('what comes while one ring is under way shares the next, each destination once', async () => {
    const rings = listen();
    await rings.next();
    const published = ticketsFor(99);
    const first = queues[0]?.publish(TICKETS);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([...published, ...published].map(async (ticket) => queues[0]?.publish([ticket])));
    await first;
    await expect(rings.next()).resolves.toEqual(LANES);
    await expect(rings.next()).resolves.toEqual(lanesOf(published));
    await queues[0]?.publish(TICKETS);
    await expect(rings.next()).resolves.toEqual(LANES);
  });

  test('more destinations than a ring can name mean everywhere', async () => {
    const rings = listen();
    await rings.next();
    await queues[0]?.publish(ticketsFor(5_000));
    await expect(rings.next()).resolves.toBe('everywhere');
    await queues[0]?.publish(TICKETS);
    await expect(rings.next()).resolves.toEqual(LANES);
  });

  test('a ring from elsewhere that cannot be understood means everywhere', async () => {
    const rings = listen();
    await rings.next();
    const payloads = [
      'x',
      '{"0":1}',
      '[]',
      '["xy"]',
      JSON.stringify([[ACCOUNT, 'y']]),
      JSON.stringify([[1, ACCOUNT]]),
      JSON.stringify([[ACCOUNT, ACCOUNT], null]),
    ];
    for (const payload of payloads) {
      await sql`select pg_notify('data_pusher_due', ${payload})`.execute(accepting.fork(EVERYTHING).getKysely());
      await expect(rings.next()).resolves.toBe('everywhere');
    }
    await queues[0]?.publish(TICKETS);
    await expect(rings.next()).resolves.toEqual(LANES);
    expect(queues[1]?.isConsuming).toBe(true);
  });

  test('a process that dispatches takes its own tickets', async () => {
    const received: Ticket[] = [];
    await queues[1]?.subscribe((tickets) => void received.push(...tickets));
    await queues[1]?.publish(TICKETS);
    expect(received).toEqual(TICKETS);
  });

  test('the listener comes back when its connection was ended, and looks for what it missed', async () => {
    const rings = listen();
    await rings.next();
    const { rowCount } = await terminateListeners();
    expect(rowCount).toBe(1);
    await rings.next();
    await queues[0]?.publish(TICKETS);
    await rings.next();
  });

  /** Each ring is waited for in turn. */
  function listen(): { next: () => Promise<readonly TicketLane[] | 'everywhere'> } {
    const heard: (readonly TicketLane[] | 'everywhere')[] = [];
    let look: (() => void) | undefined;
    void queues[1]?.subscribe(
      () => {},
      (lanes) => {
        heard.push(lanes ?? 'everywhere');
        look?.();
      },
    );
    return {
      next: async () => {
        for (;;) {
          const [ring] = heard.splice(0, 1);
          if (ring !== undefined) {
            return ring;
          }
          await new Promise<void>((resolve) => {
            look = resolve;
          });
        }
      },
    };
  }

  async function terminateListeners(): Promise<{ rowCount: number }> {
    const { rows } = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'data-pusher notifier' and datname = current_database()`.execute(
      accepting.fork(EVERYTHING).getKysely(),
    );
    return { rowCount: rows.length };
  }
});

/** One for each of so many destinations. */
function ticketsFor(destinations: number): Ticket[] {
  return Array.from({ length: destinations }, (_, index) => ({
    deliveryId: idNamed(`delivery ${index}`),
    destinationId: idNamed(`destination ${index}`),
    accountId: ACCOUNT,
    attempt: 0,
  }));
}

function lanesOf(tickets: readonly Ticket[]): TicketLane[] {
  return tickets.map(({ destinationId, accountId }) => ({ destinationId, accountId }));
}
