import type { BareExpressCalls } from './bare-express.ts';
import type { LoadCalls } from './load.ts';
import { peakMiB, residentMiB } from './memory.ts';
import type { Context } from './context.ts';
import { inTurn } from './in-turn.ts';
import { Worker } from './worker.ts';

export interface AcceptFigures {
  /** Events per second, one figure for each round. */
  readonly accepted: readonly number[];
  readonly bare: readonly number[];
  readonly idleMiB: number;
  readonly peakMiB: number;
  readonly bareIdleMiB: number;
  readonly barePeakMiB: number;
}

/** Events accepted with a durable commit, in turn with the bare route, so that both see the same machine. */
export async function measureAccept(context: Context): Promise<AcceptFigures> {
  const { sizes, cleanUp } = context;
  const installation = await context.start(await context.createBacking('accept'), context.shape, { measure: 'accept' });
  const { ingestUrl, graphql, pids } = installation;
  const { id, token } = await graphql.createAccount();
  const idleMiB = residentMiB(pids);

  const bareExpress = new Worker<BareExpressCalls>('bare-express.ts');
  cleanUp.add(() => bareExpress.stop());
  const bareUrl = await bareExpress.call('start');
  const bareIdleMiB = residentMiB([bareExpress.pid]);

  const load = new Worker<LoadCalls>('load.ts');
  cleanUp.add(() => load.stop());
  let acknowledged = 0;
  const post = async (url: string, seconds: number): Promise<number> => {
    const { accepted, perSecond } = await load.call('post', { url, token, seconds, connections: sizes.connections });
    acknowledged += url === ingestUrl ? accepted : 0;
    return perSecond;
  };

  if (sizes.warmUpSeconds > 0) {
    await post(bareUrl, sizes.warmUpSeconds);
    await post(ingestUrl, sizes.warmUpSeconds);
  }
  const figures = { accepted: [] as number[], bare: [] as number[], idleMiB, bareIdleMiB, peakMiB: 0, barePeakMiB: 0 };
  const measureBare = async (): Promise<void> => {
    const peak = await peakMiB([bareExpress.pid], async () => {
      figures.bare.push(await post(bareUrl, sizes.acceptSeconds));
    });
    figures.barePeakMiB = Math.max(figures.barePeakMiB, peak);
  };
  const measureServer = async (): Promise<void> => {
    const peak = await peakMiB(pids, () =>
      context.profiled('accept', async () => {
        figures.accepted.push(await post(ingestUrl, sizes.acceptSeconds));
      }),
    );
    figures.peakMiB = Math.max(figures.peakMiB, peak);
  };
  await inTurn(sizes.rounds, measureBare, measureServer);

  const stored = await graphql.storedEvents(id);
  if (stored < acknowledged) {
    throw new Error(`${acknowledged} events were acknowledged, but only ${stored} are stored.`);
  }
  await Promise.all([installation.stop(), bareExpress.stop(), load.stop()]);
  return figures;
}
