import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { postBatch } from '../support/batch.ts';
import { createTemporaryDatabase, TEST_DATABASE_URL } from '../support/postgresql.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { storedEvents } from '../support/stored-events.ts';
import { ENCRYPTION_KEY } from '../support/vault.ts';
import { Workbench } from '../support/workbench.ts';

const ROUNDS = 3;
const SENDERS = 4;
const EVENTS = 60;
const DESTINATIONS = 3;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(() => bench.clear());

interface Database {
  readonly variables: Readonly<Record<string, string>>;
  drop(): Promise<void>;
}

async function onPostgresql(): Promise<Database> {
  const { url, drop } = await createTemporaryDatabase(TEST_DATABASE_URL as string);
  return { variables: { DATABASE_URL: url, ENCRYPTION_KEY, ROLES: 'api' }, drop };
}

const SETUPS: [name: string, open: () => Promise<Database>][] = [
  ['SQLite', async () => ({ variables: {}, drop: async () => {} })],
  ...(TEST_DATABASE_URL === undefined ? [] : [['PostgreSQL', onPostgresql] as [string, typeof onPostgresql]]),
];

/** Numbers batches, and their events within them. */
class Batches {
  sent = 0;
  /** The ids of the events that were acknowledged, by the number of their batch. */
  readonly acknowledged = new Map<number, readonly string[]>();

  /** Sends batches one after the other, until the server is gone. */
  async sendTo({ urls }: ServerProcess, token: string, onAcknowledged: () => void): Promise<void> {
    for (;;) {
      this.sent += 1;
      const batch = this.sent;
      const events = Array.from({ length: EVENTS }, (_, number) => ({ batch, number, text: 'x'.repeat(500) }));
      const answer = await postBatch(urls, { token, body: JSON.stringify(events) }).catch(() => undefined);
      if (answer?.status !== 202) {
        return;
      }
      this.acknowledged.set(
        batch,
        answer.json.events.map(({ eventId }: { eventId: string }) => eventId),
      );
      onAcknowledged();
    }
  }
}

describe.each(SETUPS)('kill -9 while batches are posted, on %s', (_name, open) => {
  test('no batch is stored in part, and none that was acknowledged is lost', async () => {
    const { variables, drop } = await open();
    try {
      const receiver = await bench.receiver();
      const batches = new Batches();
      const first = await bench.start(variables);
      const { id, token } = await first.createAccount();
      for (let number = 0; number < DESTINATIONS; number += 1) {
        await first.createDestination(id, receiver.url());
      }
      await first.end('SIGKILL');
      for (let round = 0; round < ROUNDS; round += 1) {
        const server = await bench.start(variables);
        let left = 1 + 3 * round;
        const kill = (): void => {
          left -= 1;
          if (left === 0) {
            server.signal('SIGKILL');
          }
        };
        await Promise.all(Array.from({ length: SENDERS }, () => batches.sendTo(server, token, kill)));
        await server.exited;
      }

      const server = await bench.start(variables);
      const stored = await storedEvents(server, id);
      const byBatch = Map.groupBy(
        stored,
        ([, { payloadText }]) => (JSON.parse(payloadText) as { batch: number }).batch,
      );
      const sizes = [...byBatch.values()].map(({ length }) => length);
      expect(sizes).toEqual(sizes.map(() => EVENTS));
      const fanOuts = [...stored.values()].map(({ deliveryStatuses }) => deliveryStatuses.length);
      expect(new Set(fanOuts)).toEqual(new Set([DESTINATIONS]));
      expect(batches.acknowledged.size).toBeGreaterThan(ROUNDS);
      for (const [batch, eventIds] of batches.acknowledged) {
        expect(
          byBatch
            .get(batch)
            ?.map(([eventId]) => eventId)
            .toSorted(),
        ).toEqual(eventIds);
      }
      process.stdout.write(
        `batches: ${batches.sent} sent, ${batches.acknowledged.size} acknowledged, ${sizes.length} stored\n`,
      );
      await server.end();
    } finally {
      await bench.clear();
      await drop();
    }
  }, 90_000);
});
