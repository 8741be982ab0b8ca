import { PATIENT } from './backlog.ts';
import type { Context } from './context.ts';
import type { CountingReceiverCalls } from './counting-receiver.ts';
import type { GraphqlClient } from './graphql-client.ts';
import { inTurn } from './in-turn.ts';
import type { LoadCalls } from './load.ts';
import type { Installation } from './installation.ts';
import { API } from './shape.ts';
import { Worker } from './worker.ts';

const DESTINATIONS = 10;
export interface RoutedFigures {
  /** Events accepted per second, for one destination that takes all of them; one figure for each round. */
  readonly plain: readonly number[];
  /** For ten destinations with types and a filter, of which one takes the events. */
  readonly routed: readonly number[];
  /** The plain ones by another build, in turn; empty where none is named. */
  readonly other: readonly number[];
}

/** What routing costs: each event makes one delivery, with rules and without. The receiver answers none of them. */
export async function measureRouted(context: Context): Promise<RoutedFigures> {
  const { sizes, cleanUp, against } = context;
  const load = new Worker<LoadCalls>('load.ts');
  const receiver = new Worker<CountingReceiverCalls>('counting-receiver.ts');
  cleanUp.add(async () => void (await Promise.all([load.stop(), receiver.stop()])));
  const receiverUrl = await receiver.call('start');
  await receiver.call('shut');
  const start = async (name: string, program?: string): Promise<Installation> => {
    const shape = context.profile === 'sqlite' ? context.shape : API;
    const backing = await context.createBacking('routed', name);
    return context.start(backing, shape, { variables: PATIENT, program, measure: 'routed' });
  };
  const own = await start('own');
  const other = against === undefined ? undefined : await start('other', against);
  const figures = { plain: [] as number[], routed: [] as number[], other: [] as number[] };
  const post = async (url: string, token: string, seconds: number): Promise<number> =>
    (await load.call('post', { url, token, seconds, connections: sizes.connections })).perSecond;

  const targets = [
    ...(other === undefined
      ? []
      : [{ url: other.ingestUrl, token: await plainAccount(other.graphql, receiverUrl), into: figures.other }]),
    { url: own.ingestUrl, token: await plainAccount(own.graphql, receiverUrl), into: figures.plain },
    { url: own.ingestUrl, token: await routedAccount(own.graphql, receiverUrl), into: figures.routed },
  ];
  if (sizes.warmUpSeconds > 0) {
    for (const { url, token } of targets) {
      await post(url, token, sizes.warmUpSeconds);
    }
  }
  const measures = targets.map(({ url, token, into }) => async () => {
    await context.profiled('routed', async () => void into.push(await post(url, token, sizes.acceptSeconds)));
  });
  await inTurn(sizes.rounds, ...measures);
  await receiver.call('open');
  await Promise.all([own.stop(), other?.stop()]);
  await Promise.all([load.stop(), receiver.stop()]);
  return figures;
}

async function plainAccount(graphql: GraphqlClient, receiverUrl: string): Promise<string> {
  const { id, token } = await graphql.createAccount();
  await graphql.createDestination(id, receiverUrl);
  return token;
}

/** Nine filters fail at their last condition, which is the most that a filter costs. */
async function routedAccount(graphql: GraphqlClient, receiverUrl: string): Promise<string> {
  const { id, token } = await graphql.createAccount({ eventTypePath: 'type' });
  for (let number = 0; number < DESTINATIONS; number += 1) {
    await graphql.createDestination(id, receiverUrl, {
      eventTypes: ['order.*', 'refund.made'],
      filter: {
        'order.currency': { $in: ['EUR', 'USD'] },
        'order.number': { $gte: 1_000 },
        'customer.email': { $endsWith: '@example.com' },
        'items.sku': { $contains: 'MUG' },
        'customer.country': number === DESTINATIONS - 1 ? 'DE' : 'FR',
      },
    });
  }
  return token;
}
