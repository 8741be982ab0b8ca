import { Backlog, drainGots, type Tools } from './backlog.ts';
import { BareGots } from './bare-gots.ts';
import type { Context } from './context.ts';
import { inTurn } from './in-turn.ts';
import type { LoadCalls } from './load.ts';
import { peakMiB } from './memory.ts';
import type { ReceiverCalls } from './receiver.ts';
import { singleSender } from './shape.ts';
import { Worker } from './worker.ts';

export interface DeliverFigures {
  /** Deliveries per second, one figure for each round. */
  readonly delivered: readonly number[];
  /** With one event loop that makes requests. */
  readonly single: readonly number[];
  readonly bare: readonly number[];
  /** Event loops that make requests, and of bare got. */
  readonly senders: number;
  readonly peakMiB: number;
  readonly singlePeakMiB: number;
  readonly barePeakMiB: number;
  readonly bytesPerEvent: number;
  /** Requests that were made more than once; at least once is what is promised. */
  readonly duplicates: number;
}

/** How fast a backlog is worked off: by an installation, by the same with a single sender, and by bare got. */
export async function measureDeliver(context: Context): Promise<DeliverFigures> {
  const { sizes, profile, cleanUp, shape } = context;
  const receiver = new Worker<ReceiverCalls>('receiver.ts');
  const load = new Worker<LoadCalls>('load.ts');
  const bareGots = new BareGots(shape.senders);
  cleanUp.add(async () => void (await Promise.all([receiver.stop(), load.stop(), bareGots.stop()])));
  const tools: Tools = { receiver, receiverUrl: await receiver.call('start'), load, connections: sizes.connections };
  const all = await Backlog.start(context, tools, shape, 'all');
  const single = await Backlog.start(context, tools, singleSender(profile), 'single');
  const drainBare = (requests: number) => drainGots(bareGots, tools, { requests, inFlight: shape.inFlight });

  if (sizes.warmUpEvents > 0) {
    await drainBare(sizes.warmUpEvents);
    await single.drain(sizes.warmUpEvents);
    await all.drain(sizes.warmUpEvents);
  }
  const bareRounds = new Rounds(bareGots.pids);
  const singleRounds = new Rounds(single.pids);
  const allRounds = new Rounds(all.pids);
  await inTurn(
    sizes.rounds,
    () => bareRounds.add(() => drainBare(sizes.backlogEvents)),
    () => singleRounds.add(() => single.drain(sizes.backlogEvents)),
    () =>
      allRounds.add(async () => {
        const drained = await all.drain(sizes.backlogEvents);
        context.addProfileWindow('deliver', drained);
        return drained;
      }),
  );
  await single.finish();
  const bytesPerEvent = await all.finish();
  await Promise.all([receiver.stop(), load.stop(), bareGots.stop()]);
  return {
    delivered: allRounds.perSecond,
    single: singleRounds.perSecond,
    bare: bareRounds.perSecond,
    senders: shape.senders,
    peakMiB: allRounds.peakMiB,
    singlePeakMiB: singleRounds.peakMiB,
    barePeakMiB: bareRounds.peakMiB,
    bytesPerEvent,
    duplicates: allRounds.duplicates + singleRounds.duplicates,
  };
}

/** The rounds of one of those that are compared. */
class Rounds {
  readonly perSecond: number[] = [];
  peakMiB = 0;
  duplicates = 0;
  readonly #pids: readonly number[];

  constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  async add(drain: () => Promise<{ perSecond: number; duplicates: number }>): Promise<void> {
    const peak = await peakMiB(this.#pids, async () => {
      const { perSecond, duplicates } = await drain();
      this.perSecond.push(perSecond);
      this.duplicates += duplicates;
    });
    this.peakMiB = Math.max(this.peakMiB, peak);
  }
}
