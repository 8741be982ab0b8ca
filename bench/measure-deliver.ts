import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BareGotCalls } from './bare-got.ts';
import type { Context } from './context.ts';
import type { LoadCalls } from './load.ts';
import { peakMiB } from './memory.ts';
import type { Drained, ReceiverCalls } from './receiver.ts';
import type { Server } from './server.ts';
import { inTurn } from './in-turn.ts';
import { Worker } from './worker.ts';

/** What the server allows one destination by default. */
const CONCURRENCY = 32;
const SETTLED_WITHIN_MS = 10_000;

export interface DeliverFigures {
  /** Deliveries per second, one figure for each round. */
  readonly delivered: readonly number[];
  readonly bare: readonly number[];
  readonly peakMiB: number;
  readonly barePeakMiB: number;
  readonly bytesPerEvent: number;
}

interface Parts {
  readonly server: Server;
  readonly receiver: Worker<ReceiverCalls>;
  readonly receiverUrl: string;
  readonly bareGot: Worker<BareGotCalls>;
  readonly load: Worker<LoadCalls>;
  readonly token: string;
  readonly connections: number;
}

/**
 * How fast a backlog is worked off. The events are posted while the receiver holds its answers back, so
 * that accepting takes no part in what is measured; see the receiver.
 */
export async function measureDeliver(context: Context): Promise<DeliverFigures> {
  const { sizes, cleanUp } = context;
  const [receiver, bareGot, load] = [
    new Worker<ReceiverCalls>('receiver.ts'),
    new Worker<BareGotCalls>('bare-got.ts'),
    new Worker<LoadCalls>('load.ts'),
  ];
  cleanUp.add(async () => void (await Promise.all([receiver.stop(), bareGot.stop(), load.stop()])));
  const server = await context.startServer('deliver');
  const receiverUrl = await receiver.call('start');
  const { id, token } = await server.createAccount();
  const destinationId = await server.createDestination(id, receiverUrl);
  const parts: Parts = { server, receiver, receiverUrl, bareGot, load, token, connections: sizes.connections };

  if (sizes.warmUpEvents > 0) {
    await drainGot(parts, sizes.warmUpEvents);
    await drainServer(parts, sizes.warmUpEvents);
  }
  const figures = { delivered: [] as number[], bare: [] as number[], peakMiB: 0, barePeakMiB: 0 };
  const measureBare = async (): Promise<void> => {
    const peak = await peakMiB(bareGot.pid, async () => {
      figures.bare.push((await drainGot(parts, sizes.backlogEvents)).perSecond);
    });
    figures.barePeakMiB = Math.max(figures.barePeakMiB, peak);
  };
  const measureServer = async (): Promise<void> => {
    const peak = await peakMiB(server.pid, async () => {
      const drained = await drainServer(parts, sizes.backlogEvents);
      context.addProfileWindow('deliver', drained);
      figures.delivered.push(drained.perSecond);
    });
    figures.peakMiB = Math.max(figures.peakMiB, peak);
  };
  await inTurn(sizes.rounds, measureBare, measureServer);

  const events = sizes.warmUpEvents + sizes.rounds * sizes.backlogEvents;
  await allSucceeded(server, destinationId, events);
  await Promise.all([server.stop(), receiver.stop(), bareGot.stop(), load.stop()]);
  return { ...figures, bytesPerEvent: databaseBytes(context.folderOf('deliver')) / events };
}

async function drainServer({ server, receiver, load, token, connections }: Parts, events: number): Promise<Drained> {
  await receiver.call('shut');
  await load.call('post', { url: server.ingestUrl, token, connections, events });
  await untilWaiting(receiver);
  const drained = await receiver.call('open', events);
  if (drained.distinct !== events || drained.arrivals !== events) {
    throw new Error(
      `${events} deliveries were due; ${drained.arrivals} arrived, ${drained.distinct} of them different.`,
    );
  }
  return drained;
}

async function drainGot({ receiver, receiverUrl, bareGot }: Parts, requests: number): Promise<Drained> {
  await receiver.call('shut');
  const sent = bareGot.call('send', { url: receiverUrl, requests, concurrency: CONCURRENCY });
  await Promise.race([untilWaiting(receiver), sent]);
  const [drained] = await Promise.all([receiver.call('open', requests), sent]);
  return drained;
}

async function untilWaiting(receiver: Worker<ReceiverCalls>): Promise<void> {
  for (const deadline = Date.now() + SETTLED_WITHIN_MS; (await receiver.call('arrivals')) < CONCURRENCY; ) {
    if (Date.now() > deadline) {
      throw new Error(`The sender does not keep ${CONCURRENCY} requests under way.`);
    }
    await delay(5);
  }
}

/** The last attempts are recorded shortly after they have arrived. */
async function allSucceeded(server: Server, destinationId: string, events: number): Promise<void> {
  const deadline = Date.now() + SETTLED_WITHIN_MS;
  while ((await server.deliveries(destinationId, 'PENDING')) > 0 && Date.now() < deadline) {
    await delay(50);
  }
  const succeeded = await server.deliveries(destinationId, 'SUCCEEDED');
  if (succeeded !== events) {
    throw new Error(`${events} events have arrived, but ${succeeded} are recorded as delivered.`);
  }
}

/** Once the server has stopped: it leaves a checkpointed file. */
function databaseBytes(folder: string): number {
  return ['bench.db', 'bench.db-wal']
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path))
    .reduce((bytes, path) => bytes + statSync(path).size, 0);
}
