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
  const server = await context.startServer('accept');
  const { id, token } = await server.createAccount();
  const idleMiB = residentMiB(server.pid);

  const bareExpress = new Worker<BareExpressCalls>('bare-express.ts');
  cleanUp.add(() => bareExpress.stop());
  const bareUrl = await bareExpress.call('start');
  const bareIdleMiB = residentMiB(bareExpress.pid);

  const load = new Worker<LoadCalls>('load.ts');
  cleanUp.add(() => load.stop());
  let acknowledged = 0;
  const post = async (url: string, seconds: number): Promise<number> => {
    const { accepted, perSecond } = await load.call('post', { url, token, seconds, connections: sizes.connections });
    acknowledged += url === server.ingestUrl ? accepted : 0;
    return perSecond;
  };

  if (sizes.warmUpSeconds > 0) {
    await post(bareUrl, sizes.warmUpSeconds);
    await post(server.ingestUrl, sizes.warmUpSeconds);
  }
  const figures = { accepted: [] as number[], bare: [] as number[], idleMiB, bareIdleMiB, peakMiB: 0, barePeakMiB: 0 };
  const measureBare = async (): Promise<void> => {
    const peak = await peakMiB(bareExpress.pid, async () => {
      figures.bare.push(await post(bareUrl, sizes.acceptSeconds));
    });
    figures.barePeakMiB = Math.max(figures.barePeakMiB, peak);
  };
  const measureServer = async (): Promise<void> => {
    const peak = await peakMiB(server.pid, () =>
      context.profiled('accept', async () => {
        figures.accepted.push(await post(server.ingestUrl, sizes.acceptSeconds));
      }),
    );
    figures.peakMiB = Math.max(figures.peakMiB, peak);
  };
  await inTurn(sizes.rounds, measureBare, measureServer);

  const stored = await server.storedEvents(id);
  if (stored < acknowledged) {
    throw new Error(`${acknowledged} events were acknowledged, but only ${stored} are stored.`);
  }
  await Promise.all([server.stop(), bareExpress.stop(), load.stop()]);
  return figures;
}
