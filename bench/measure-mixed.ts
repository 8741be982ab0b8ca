import { setTimeout as delay } from 'node:timers/promises';
import type { Backing } from './backing.ts';
import type { Context } from './context.ts';
import type { CountingReceiverCalls } from './counting-receiver.ts';
import { fillFinished } from './fill.ts';
import type { GraphqlClient } from './graphql-client.ts';
import { inTurn } from './in-turn.ts';
import type { Installation } from './installation.ts';
import type { LoadCalls } from './load.ts';
import { peakMiB } from './memory.ts';
import { nowMs } from './monotonic.ts';
import { ProcessorMeter, type ProcessorTime } from './processor-time.ts';
import { Worker } from './worker.ts';

const DRAINED_WITHIN_MS = 600_000;

/** What one installation did from its first event to the last delivery. */
export interface MixedRound {
  /** Events accepted in each second of the load. */
  readonly accepted: readonly number[];
  /** Deliveries that arrived in each second of the load. */
  readonly delivered: readonly number[];
  readonly drainSeconds: number;
  /** For 1,000 events, all their deliveries included. */
  readonly processor: ProcessorTime;
  readonly peakMiB: number;
  readonly duplicates: number;
}

export interface MixedFigures {
  readonly own: readonly MixedRound[];
  /** Of another build, in turn with this one; empty where none is named. */
  readonly other: readonly MixedRound[];
}

/** Events are accepted as fast as they are taken, and delivered at the same time, to destinations that answer at once. */
export async function measureMixed(context: Context): Promise<MixedFigures> {
  const { sizes, cleanUp, against } = context;
  const receiver = new Worker<CountingReceiverCalls>('counting-receiver.ts');
  const load = new Worker<LoadCalls>('load.ts');
  cleanUp.add(async () => void (await Promise.all([receiver.stop(), load.stop()])));
  const receiverUrl = await receiver.call('start');
  const figures = { own: [] as MixedRound[], other: [] as MixedRound[] };
  const measure = async (rounds: MixedRound[], program?: string): Promise<void> => {
    const backing = await context.createBacking('mixed', `store-${crypto.randomUUID()}`);
    const round = new Round(context, { receiver, load, receiverUrl, backing, program });
    rounds.push(await round.run());
    await backing.drop();
  };
  await inTurn(sizes.mixedRounds, ...(against === undefined ? [] : [() => measure(figures.other, against)]), () =>
    measure(figures.own),
  );
  await Promise.all([receiver.stop(), load.stop()]);
  return figures;
}

interface RoundTools {
  readonly receiver: Worker<CountingReceiverCalls>;
  readonly load: Worker<LoadCalls>;
  readonly receiverUrl: string;
  readonly backing: Backing;
  readonly program: string | undefined;
}

class Round {
  readonly #context: Context;
  readonly #tools: RoundTools;

  constructor(context: Context, tools: RoundTools) {
    this.#context = context;
    this.#tools = tools;
  }

  async run(): Promise<MixedRound> {
    const { backing, program } = this.#tools;
    const { sizes, shape } = this.#context;
    if (sizes.finishedEvents > 0) {
      await this.#fill();
    }
    const installation = await this.#context.start(backing, shape, {
      program,
      ...(program === undefined && { measure: 'mixed' }),
    });
    // It may analyse the new tables early, or late: a run in which it happens to be early looks better than most.
    await backing.setAutovacuum?.(false);
    const result = await this.#underLoad(installation);
    await installation.stop();
    return result;
  }

  async #fill(): Promise<void> {
    const { backing, program, receiverUrl } = this.#tools;
    const { sizes, shape } = this.#context;
    console.error(`  filling the store with ${sizes.finishedEvents} finished deliveries ...`);
    const installation = await this.#context.start(backing, shape, { program });
    const { id: accountId } = await installation.graphql.createAccount();
    const destinationId = await installation.graphql.createDestination(accountId, receiverUrl);
    await installation.stop();
    await fillFinished(backing, { accountId, destinationId, events: sizes.finishedEvents });
  }

  async #underLoad({ graphql, ingestUrl, pids }: Installation): Promise<MixedRound> {
    const { receiver, load, receiverUrl, backing } = this.#tools;
    const { sizes } = this.#context;
    const { id, token } = await graphql.createAccount();
    const destinationIds: string[] = [];
    for (let number = 0; number < sizes.mixedDestinations; number += 1) {
      destinationIds.push(await graphql.createDestination(id, `${receiverUrl}/${number}`));
    }
    await receiver.call('count');
    const meter = new ProcessorMeter(pids, backing.variables);
    let loaded = { eachSecond: [] as readonly number[], accepted: 0 };
    let loadEndedAt = 0;
    const peak = await peakMiB(pids, () =>
      this.#context.profiled('mixed', async () => {
        const { connections, mixedSeconds: seconds } = sizes;
        loaded = await load.call('post', { url: ingestUrl, token, connections, seconds });
        loadEndedAt = nowMs();
        await backing.setAutovacuum?.(true);
        await this.#drained(graphql, { destinationIds, accepted: loaded.accepted });
      }),
    );
    const processor = meter.used();
    const { perSecond, lastAt, duplicates } = await receiver.call('arrivals');
    return {
      accepted: wholeSeconds(loaded.eachSecond, sizes.mixedSeconds),
      delivered: wholeSeconds(perSecond, sizes.mixedSeconds),
      drainSeconds: Math.max(0, lastAt - loadEndedAt) / 1000,
      processor: perThousand(processor, await graphql.storedEvents(id)),
      peakMiB: peak,
      duplicates,
    };
  }

  /** Waits until all has arrived and is recorded. */
  async #drained(
    graphql: GraphqlClient,
    { destinationIds, accepted }: { destinationIds: readonly string[]; accepted: number },
  ): Promise<void> {
    const { receiver } = this.#tools;
    for (const deadline = nowMs() + DRAINED_WITHIN_MS; nowMs() < deadline; await delay(100)) {
      const { delivered } = await receiver.call('arrivals');
      if (delivered >= accepted * destinationIds.length) {
        // More may have been stored than acknowledged: the load breaks off what is under way at its end.
        if (!(await graphql.hasAny(destinationIds, 'PENDING'))) {
          return;
        }
      }
    }
    throw new Error(`Not all of ${accepted} events were delivered within ${DRAINED_WITHIN_MS} ms.`);
  }
}

function wholeSeconds(counts: readonly number[], seconds: number): number[] {
  return Array.from({ length: seconds }, (_, second) => counts[second] ?? 0);
}

function perThousand(time: ProcessorTime, events: number): ProcessorTime {
  const share = (seconds: number | undefined) => (seconds === undefined ? undefined : (seconds * 1000) / events);
  return { server: share(time.server), database: share(time.database), broker: share(time.broker) };
}
