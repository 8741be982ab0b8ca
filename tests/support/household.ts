import type { Caller } from './caller.ts';
import { accountWith } from './caller.ts';
import type { Kind } from './operations.ts';
import type { Receiver } from './receiver.ts';

/** An account with one of everything, made by the administrator; its delivery has come to its end. */
export interface Household {
  readonly ids: Readonly<Record<Kind, string>>;
  readonly token: string;
  readonly caller: Caller;
}

const DELIVERIES = 'query ($id: ID!) { event(id: $id) { deliveries { id status } } }';

export async function createHousehold(administrator: Caller, receiver: Receiver): Promise<Household> {
  const { id, token } = await administrator.createAccount();
  const destination = await administrator.createDestination(id, receiver.url(`/${id}`), {
    headers: { 'X-Secret': id },
  });
  const event = await administrator.sendAccepted(token, JSON.stringify({ of: id }));
  const [delivery] = await administrator.eventually(
    async () => (await administrator.data(DELIVERIES, { id: event })).event.deliveries,
    ([one]) => one.status === 'SUCCEEDED',
  );
  return {
    ids: { account: id, destination, event, delivery: delivery.id },
    token,
    caller: accountWith(token, administrator),
  };
}
