import type { Context } from './context.ts';
import { inTurn } from './in-turn.ts';
import type { LoadCalls } from './load.ts';
import { Worker } from './worker.ts';

export const BATCH_EVENTS = 100;

export interface BatchFigures {
  /** Events per second, one figure for each round. */
  readonly batched: readonly number[];
  readonly single: readonly number[];
}

/** Events accepted in batches, in turn with single ones. The account has no destinations. */
export async function measureBatch(context: Context): Promise<BatchFigures> {
  const { sizes, cleanUp } = context;
  const installation = await context.start(await context.createBacking('batch'), context.shape, { measure: 'batch' });
  const { ingestUrl: url, graphql } = installation;
  const { token } = await graphql.createAccount();
  const load = new Worker<LoadCalls>('load.ts');
  cleanUp.add(() => load.stop());
  const order = { token, connections: sizes.connections };
  const single = async (seconds: number): Promise<number> =>
    (await load.call('post', { ...order, url, seconds })).perSecond;
  const batched = async (seconds: number): Promise<number> => {
    const batch = { url: `${url}/batch`, batch: BATCH_EVENTS };
    return BATCH_EVENTS * (await load.call('post', { ...order, ...batch, seconds })).perSecond;
  };

  if (sizes.warmUpSeconds > 0) {
    await single(sizes.warmUpSeconds);
    await batched(sizes.warmUpSeconds);
  }
  const figures = { batched: [] as number[], single: [] as number[] };
  await inTurn(
    sizes.rounds,
    async () => void figures.single.push(await single(sizes.acceptSeconds)),
    () => context.profiled('batch', async () => void figures.batched.push(await batched(sizes.acceptSeconds))),
  );
  await Promise.all([installation.stop(), load.stop()]);
  return figures;
}
