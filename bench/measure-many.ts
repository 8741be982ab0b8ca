import { setTimeout as delay } from 'node:timers/promises';
import { PATIENT } from './backlog.ts';
import type { Context } from './context.ts';
import type { CountingReceiverCalls } from './counting-receiver.ts';
import type { Installation } from './installation.ts';
import type { LatencyProbeCalls, ProbeResult } from './latency-probe.ts';
import type { LoadCalls } from './load.ts';
import { nowMs } from './monotonic.ts';
import { Worker } from './worker.ts';

const CREATED_AT_ONCE = 16;
const PROBES_PER_SECOND = 5;
/** Of events that the one destination gets; enough for a rate. */
const ONE_BACKLOG_MAX = 20_000;

export interface ManyFigures {
  readonly destinations: number;
  /** Deliveries per second, to many destinations and to one. */
  readonly many: number;
  readonly one: number;
  /** Of events of another account, in milliseconds, while those of the many were worked off. */
  readonly others: ProbeResult;
  readonly duplicates: number;
}

interface Tools {
  readonly receiver: Worker<CountingReceiverCalls>;
  readonly receiverUrl: string;
  readonly load: Worker<LoadCalls>;
  readonly probe: Worker<LatencyProbeCalls>;
}

interface Order {
  readonly accounts: number;
  /** Of each account. */
  readonly destinations: number;
  /** Deliveries that wait for each destination. */
  readonly pending: number;
  /** Whether another account sends events meanwhile. */
  readonly withOthers: boolean;
}

interface Drained {
  readonly perSecond: number;
  readonly duplicates: number;
  readonly others: ProbeResult;
}

/** A backlog that waits for many destinations, and one as it waits for a single one, in the same run. */
export async function measureMany(context: Context): Promise<ManyFigures> {
  const { sizes, cleanUp } = context;
  const receiver = new Worker<CountingReceiverCalls>('counting-receiver.ts');
  const load = new Worker<LoadCalls>('load.ts');
  const probe = new Worker<LatencyProbeCalls>('latency-probe.ts');
  const stop = async () => void (await Promise.all([receiver.stop(), load.stop(), probe.stop()]));
  cleanUp.add(stop);
  const tools: Tools = { receiver, receiverUrl: await receiver.call('start'), load, probe };
  const { manyAccounts: accounts, manyDestinations: destinations, manyPending: pending } = sizes;
  const alone = Math.min(accounts * destinations * pending, ONE_BACKLOG_MAX);
  const one = await drain(context, tools, { accounts: 1, destinations: 1, pending: alone, withOthers: false });
  const many = await drain(context, tools, { accounts, destinations, pending, withOthers: true });
  await stop();
  return {
    destinations: accounts * destinations,
    many: many.perSecond,
    one: one.perSecond,
    others: many.others,
    duplicates: one.duplicates + many.duplicates,
  };
}

async function drain(context: Context, tools: Tools, order: Order): Promise<Drained> {
  const { receiver } = tools;
  const backing = await context.createBacking('many', `store-${order.destinations}`);
  const installation = await context.start(backing, context.shape, { variables: PATIENT, measure: 'many' });
  const total = order.accounts * order.destinations * order.pending;
  await receiver.call('shut');
  await receiver.call('count');
  await post(installation, tools, order, context.sizes.connections);

  const { delivered: before } = await receiver.call('arrivals');
  const openedAt = nowMs();
  await receiver.call('open');
  const arrived = arrivalOf(receiver, total);
  const others = order.withOthers ? await probeUntil(installation, tools, arrived) : NOTHING;
  const { lastAt, duplicates } = await arrived;
  await installation.stop();
  await backing.drop();
  return { perSecond: ((total - before) * 1000) / (lastAt - openedAt), duplicates, others };
}

const NOTHING: ProbeResult = { sentToArrived: [], acceptedToArrived: [] };

/** An event goes to every destination of its account, so that each has as many as the account has events. */
async function post(
  { graphql, ingestUrl: url }: Installation,
  { receiverUrl, load }: Tools,
  { accounts, destinations, pending }: Order,
  connections: number,
): Promise<void> {
  const tokens: string[] = [];
  for (let account = 0; account < accounts; account += 1) {
    const { id, token } = await graphql.createAccount();
    tokens.push(token);
    for (let first = 0; first < destinations; first += CREATED_AT_ONCE) {
      const numbers = Array.from(
        { length: Math.min(CREATED_AT_ONCE, destinations - first) },
        (_, place) => first + place,
      );
      await Promise.all(numbers.map((number) => graphql.createDestination(id, `${receiverUrl}/${account}/${number}`)));
    }
  }
  for (const token of tokens) {
    await load.call('post', { url, token, connections: Math.min(connections, pending), events: pending });
  }
}

async function arrivalOf(receiver: Worker<CountingReceiverCalls>, total: number) {
  for (let last = 0, since = nowMs(); ; await delay(50)) {
    const arrivals = await receiver.call('arrivals');
    if (arrivals.delivered >= total) {
      return arrivals;
    }
    if (arrivals.delivered > last) {
      [last, since] = [arrivals.delivered, nowMs()];
    } else if (nowMs() - since > STALLED_MS) {
      throw new Error(`${last} of ${total} deliveries have arrived, and then none for ${STALLED_MS} ms.`);
    }
  }
}

const STALLED_MS = 120_000;

/** Another account's events, one after the other for as long as there is something to be worked off. */
async function probeUntil(
  { graphql, ingestUrl: url }: Installation,
  { probe }: Tools,
  end: Promise<unknown>,
): Promise<ProbeResult> {
  const { id, token } = await graphql.createAccount();
  await graphql.createDestination(id, await probe.call('start'));
  let isOver = false;
  void end.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  const results: ProbeResult[] = [];
  while (!isOver) {
    results.push(await probe.call('probe', { url, token, perSecond: PROBES_PER_SECOND, seconds: 1 }));
  }
  return {
    sentToArrived: results.flatMap(({ sentToArrived }) => sentToArrived),
    acceptedToArrived: results.flatMap(({ acceptedToArrived }) => acceptedToArrived),
  };
}
