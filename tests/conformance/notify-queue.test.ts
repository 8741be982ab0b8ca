import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/ticket.ts';
import { type Bell, NotifyQueue } from '../../src/queue/notify-queue.ts';
import { openStorage, type Storage } from '../../src/storage/storage.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { TEST_VAULT } from '../support/vault.ts';
import { describeWhere } from '../support/requirement.ts';

const TICKETS: Ticket[] = [{ deliveryId: 'd', destinationId: 'x', accountId: 'y', attempt: 0 }];

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
    queues = [accepting, dispatching].map(({ bell }) => new NotifyQueue(bell as Bell));
  });

  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.stop()));
    await accepting.close();
    await dispatching.close();
    await database.drop();
  });

  test('a process that only accepts wakes the one that dispatches', async () => {
    const rings = listen();
    await rings.next();
    await queues[0]?.publish(TICKETS);
    await expect(rings.next()).resolves.toBeUndefined();
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
  function listen(): { next: () => Promise<void> } {
    let heard = 0;
    let expected = 0;
    let wake: (() => void) | undefined;
    void queues[1]?.subscribe(
      () => {},
      () => {
        heard += 1;
        wake?.();
      },
    );
    return {
      next: async () => {
        expected += 1;
        while (heard < expected) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
    };
  }

  async function terminateListeners(): Promise<{ rowCount: number }> {
    const { rows } = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'data-pusher bell' and datname = current_database()`.execute(
      accepting.fork(EVERYTHING).getKysely(),
    );
    return { rowCount: rows.length };
  }
});
