import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import Database from 'better-sqlite3';
import { HoldingReceiver } from '../support/holding-receiver.ts';
import { numberedPayload, numberOf } from '../support/numbered-payload.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { SenderProcess } from '../support/sender-process.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { type StoredEvent, storedEvents } from '../support/stored-events.ts';
import { Workbench } from '../support/workbench.ts';

const ROUNDS = 10;
const SEED = 20_260_101;
const ACKNOWLEDGEMENTS_MAX = 150;
const PATHS = ['/at-once', '/held'];

let bench: Workbench;
let sender: SenderProcess;

beforeEach(() => {
  bench = new Workbench();
  sender = new SenderProcess(join(bench.folder, 'ledger'));
});

afterEach(async () => {
  await sender.stop();
  await bench.clear();
});

describe(`kill -9 under load, ${ROUNDS} times on one database`, () => {
  test('no acknowledged event is lost, and what is sent twice has the same webhook-id', async () => {
    const receiver = await HoldingReceiver.start(bench);
    const { accountId, token } = await setUp(receiver);
    const random = seededRandom(SEED);
    const restartSeconds: number[] = [];
    let lastNumber = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const killAfter = 1 + Math.floor(random() * ACKNOWLEDGEMENTS_MAX);
      const restarted = performance.now();
      const dueWork = round > 0 ? receiver.nextUpTo(lastNumber) : Promise.resolve(performance.now());
      const server = await bench.start();
      lastNumber = await killUnderLoad(server, { token, killAfter, after: dueWork });
      restartSeconds.push(((await dueWork) - restarted) / 1000);
    }
    restartSeconds.shift();

    receiver.holdNothing();
    const server = await bench.start();
    const events = await allDelivered(server, accountId);
    expect(await server.end()).toEqual({ code: 0, signal: null });

    const figures = countUp(events, receiver);
    report({ ...figures, rounds: ROUNDS, slowestRestartSeconds: Math.max(...restartSeconds).toFixed(2) });
    expect(figures.acknowledged).toBeGreaterThan(ROUNDS);
    expect(figures).toMatchObject({ lost: 0, undelivered: 0, changed: 0, idsOfAnother: 0 });
    expect(figures.duplicates).toBeGreaterThan(0);
    expect(Math.max(...restartSeconds)).toBeLessThan(10);
    expect(faultsOfDatabase()).toEqual([{ integrity_check: 'ok' }]);
  }, 180_000);
});

async function setUp(receiver: HoldingReceiver): Promise<{ accountId: string; token: string }> {
  const server = await bench.start();
  const { id, token } = await server.createAccount();
  for (const path of PATHS) {
    await server.createDestination(id, receiver.url(path));
  }
  await server.end();
  return { accountId: id, token };
}

interface Load {
  readonly token: string;
  readonly killAfter: number;
  /** The server lives at least until then. */
  readonly after: Promise<unknown>;
}

/** @returns the last number that was sent. */
async function killUnderLoad(server: ServerProcess, { token, killAfter, after }: Load): Promise<number> {
  const lastNumber = sender.burst({ ingest: server.urls.ingest, token }, (count) => {
    if (count === killAfter) {
      void after.then(() => server.signal('SIGKILL'));
    }
  });
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
  return lastNumber;
}

async function allDelivered(server: ServerProcess, accountId: string): Promise<Map<string, StoredEvent>> {
  const query = `query ($id: ID!) {
    destinations(accountId: $id) { deliveries(first: 1, status: PENDING) { totalCount } }
  }`;
  const pending = async (): Promise<number[]> =>
    (await server.data(query, { id: accountId })).destinations.map(
      ({ deliveries }: { deliveries: { totalCount: number } }) => deliveries.totalCount,
    );
  await server.eventually(pending, (counts) => counts.every((count) => count === 0), 60_000);
  return storedEvents(server, accountId);
}

interface Figures {
  readonly acknowledged: number;
  readonly storedUnacknowledged: number;
  readonly lost: number;
  readonly delivered: number;
  readonly undelivered: number;
  readonly changed: number;
  readonly duplicates: number;
  /** Zero when every delivery has one id, and every id one delivery. */
  readonly idsOfAnother: number;
}

function countUp(stored: ReadonlyMap<string, StoredEvent>, { received }: HoldingReceiver): Figures {
  const acknowledged = sender.acknowledged();
  const arrivals = Map.groupBy(received, ({ target, body }) => `${target} ${numberOf(body)}`);
  const idsByArrival = [...arrivals.values()].map(
    (copies) => new Set(copies.map(({ headers }) => headers['webhook-id'])),
  );
  const expected = [...acknowledged.keys()].flatMap((number) => PATHS.map((path) => `${path} ${number}`));
  return {
    acknowledged: acknowledged.size,
    storedUnacknowledged: stored.size - acknowledged.size,
    lost: [...acknowledged].filter(([number, eventId]) => !isKept(number, stored.get(eventId))).length,
    delivered: arrivals.size,
    undelivered: expected.filter((arrival) => !arrivals.has(arrival)).length,
    changed: received.filter(({ body }) => body.toString() !== numberedPayload(numberOf(body))).length,
    duplicates: received.length - arrivals.size,
    idsOfAnother:
      idsByArrival.filter(({ size }) => size !== 1).length +
      (idsByArrival.length - new Set(received.map(({ headers }) => headers['webhook-id'])).size),
  };
}

function isKept(number: number, event: StoredEvent | undefined): boolean {
  return (
    event?.payloadText === numberedPayload(number) &&
    event.deliveryStatuses.length === PATHS.length &&
    event.deliveryStatuses.every((status) => status === 'SUCCEEDED')
  );
}

function faultsOfDatabase(): unknown[] {
  const database = new Database(bench.databasePath);
  try {
    return [database.pragma('integrity_check'), database.pragma('foreign_key_check')].flat();
  } finally {
    database.close();
  }
}

function report(figures: Record<string, unknown>): void {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`);
  process.stdout.write(`kill -9 under load: ${text.join(', ')}\n`);
}
