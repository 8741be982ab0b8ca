import type { Context } from './context.ts';
import type { LoadCalls } from './load.ts';
import type { ReceiverCalls } from './receiver.ts';
import { API, workers } from './shape.ts';
import { Worker } from './worker.ts';

/** Transactions for each event at full load; what the processes need for starting is in it. */
export interface StatementFigures {
  readonly accepting: number;
  readonly delivering: number;
}

/**
 * How many statements PostgreSQL is asked for each event. Every statement of the product is a transaction of
 * its own, and PostgreSQL counts those. First an api process alone accepts events, then the workers alone
 * deliver them, each time with as much to do as they can: the counts are read when the processes have ended.
 *
 * @returns `undefined` where the store is in the process itself.
 */
export async function measureStatements(context: Context): Promise<StatementFigures | undefined> {
  const { sizes, cleanUp } = context;
  const backing = await context.createBacking('statements');
  if (backing.commits === undefined) {
    return undefined;
  }
  const events = sizes.statementEvents;
  const receiver = new Worker<ReceiverCalls>('receiver.ts');
  const load = new Worker<LoadCalls>('load.ts');
  cleanUp.add(async () => void (await Promise.all([receiver.stop(), load.stop()])));

  const api = await context.start(backing, API);
  const { id, token } = await api.graphql.createAccount();
  await api.graphql.createDestination(id, await receiver.call('start'));
  await load.call('post', { url: api.ingestUrl, token, connections: sizes.connections, events });
  await api.stop();
  const accepted = await backing.commits();

  await receiver.call('shut');
  const drained = receiver.call('open', events);
  const delivering = await context.start(backing, workers(context.shape.senders));
  await drained;
  await delivering.stop();
  const delivered = await backing.commits();
  await Promise.all([receiver.stop(), load.stop()]);
  return { accepting: accepted / events, delivering: (delivered - accepted) / events };
}
