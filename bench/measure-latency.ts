import { join } from 'node:path';
import type { Context } from './context.ts';
import type { LatencyProbeCalls } from './latency-probe.ts';
import { inTurn } from './in-turn.ts';
import { Worker } from './worker.ts';

/** Milliseconds, one figure for each event of all rounds. */
export interface LatencyFigures {
  readonly acceptedToArrived: readonly number[];
  readonly sentToArrived: readonly number[];
  readonly bare: readonly number[];
}

/** How long an event takes through a server that has little to do. */
export async function measureLatency(context: Context): Promise<LatencyFigures> {
  const { sizes, cleanUp } = context;
  const probe = new Worker<LatencyProbeCalls>('latency-probe.ts');
  cleanUp.add(() => probe.stop());
  const server = await context.startServer('latency');
  const { id, token } = await server.createAccount();
  await server.createDestination(id, await probe.call('start'));

  const order = { perSecond: sizes.latencyPerSecond, seconds: sizes.latencySeconds };
  const file = join(context.folderOf('latency'), 'bare');
  await probe.call('bare', { ...order, file, seconds: sizes.warmUpSeconds });
  await probe.call('probe', { ...order, url: server.ingestUrl, token, seconds: sizes.warmUpSeconds });
  const figures = { acceptedToArrived: [] as number[], sentToArrived: [] as number[], bare: [] as number[] };
  const measureBare = async (): Promise<void> => {
    figures.bare.push(...(await probe.call('bare', { ...order, file })));
  };
  const measureServer = (): Promise<void> =>
    context.profiled('latency', async () => {
      const result = await probe.call('probe', { ...order, url: server.ingestUrl, token });
      figures.acceptedToArrived.push(...result.acceptedToArrived);
      figures.sentToArrived.push(...result.sentToArrived);
    });
  await inTurn(sizes.rounds, measureBare, measureServer);
  await Promise.all([server.stop(), probe.stop()]);
  return figures;
}
