import { join } from 'node:path';
import type { Context } from './context.ts';
import { inTurn } from './in-turn.ts';
import type { LatencyProbeCalls } from './latency-probe.ts';
import { Worker } from './worker.ts';

/** Milliseconds, one figure for each event of all rounds. */
export interface LatencyFigures {
  readonly acceptedToArrived: readonly number[];
  readonly sentToArrived: readonly number[];
  readonly bare: readonly number[];
  /** From accepted to arrived, of events that find everything idle. */
  readonly idle: readonly number[];
}

/** How long an event takes through an installation that has little to do, or nothing. */
export async function measureLatency(context: Context): Promise<LatencyFigures> {
  const { sizes, cleanUp } = context;
  const probe = new Worker<LatencyProbeCalls>('latency-probe.ts');
  cleanUp.add(() => probe.stop());
  const installation = await context.start(await context.createBacking('latency'), context.shape, {
    measure: 'latency',
  });
  const { graphql, ingestUrl: url } = installation;
  const { id, token } = await graphql.createAccount();
  await graphql.createDestination(id, await probe.call('start'));

  const order = { perSecond: sizes.latencyPerSecond, seconds: sizes.latencySeconds };
  const file = join(context.folderOf('latency'), 'bare');
  await probe.call('bare', { ...order, file, seconds: sizes.warmUpSeconds });
  await probe.call('probe', { ...order, url, token, seconds: sizes.warmUpSeconds });
  const figures = { acceptedToArrived: [] as number[], sentToArrived: [] as number[], bare: [] as number[] };
  const measureBare = async (): Promise<void> => {
    figures.bare.push(...(await probe.call('bare', { ...order, file })));
  };
  const measureInstallation = (): Promise<void> =>
    context.profiled('latency', async () => {
      const result = await probe.call('probe', { ...order, url, token });
      figures.acceptedToArrived.push(...result.acceptedToArrived);
      figures.sentToArrived.push(...result.sentToArrived);
    });
  await inTurn(sizes.rounds, measureBare, measureInstallation);
  const idle = await probe.call('probe', { perSecond: sizes.idlePerSecond, seconds: sizes.idleSeconds, url, token });
  await Promise.all([installation.stop(), probe.stop()]);
  return { ...figures, idle: idle.acceptedToArrived };
}
