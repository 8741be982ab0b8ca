import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DESTINATIONS_PER_ACCOUNT_MAX } from '../../src/core/inputs.ts';
import { ADMIN_TOKEN, administratorOf, type Caller } from '../support/caller.ts';
import { createHousehold, type Household } from '../support/household.ts';
import type { Intruder } from '../support/intruder.ts';
import { type Kind, OPERATIONS, refusesUnknown } from '../support/operations.ts';
import { heldAnswers, settled } from '../support/outbox.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const BELOW_DESTINATION: readonly Kind[] = ['destination', 'delivery'];

let app: TestApp;
let administrator: Caller;
let receiver: Receiver;
let database: Intruder;

/** The rows are never removed here: what is told is told by the marks alone. */
beforeAll(async () => {
  receiver = await Receiver.start();
  const cleaning = { graceMs: Number.MAX_SAFE_INTEGER };
  app = await TestApp.start({ ADMIN_TOKEN, MAX_CONCURRENCY_PER_DESTINATION: '2', RETRY_SCHEDULE: '1s' }, { cleaning });
  administrator = administratorOf(app);
  database = await app.intrude();
});

afterAll(async () => {
  await database.close();
  await app.stop();
  await receiver.stop();
});

const deleteAccount = (id: string) => administrator.data('mutation ($id: ID!) { deleteAccount(id: $id) }', { id });
const deleteDestination = (id: string) =>
  administrator.data('mutation ($id: ID!) { deleteDestination(id: $id) }', { id });

/** Each operation on what is gone, as one on what never was. */
async function expectGone({ ids }: Household, kinds: readonly Kind[]): Promise<void> {
  for (const operation of OPERATIONS.filter((one) => kinds.includes(one.on))) {
    const { field, on, text } = operation;
    const { data, errors } = await administrator.graphql(text(ids[on]));
    const isList = field === 'destinations';
    expect([field, data?.[field] ?? null, errors?.map(({ extensions }) => extensions.code)]).toEqual([
      field,
      isList ? [] : null,
      refusesUnknown(operation) ? ['NOT_FOUND'] : undefined,
    ]);
  }
}

describe('once an account is deleted', () => {
  test('nothing of it can be read or changed, with all its rows still there', async () => {
    const household = await createHousehold(administrator, receiver);
    const before = await database.rowCount('attempt');
    await deleteAccount(household.ids.account);
    await expectGone(household, ['account', 'destination', 'event', 'delivery']);
    expect(await database.rowCount('attempt')).toBe(before);
    const { accounts } = await administrator.data('{ accounts(first: 100) { totalCount nodes { id } } }');
    expect(accounts.nodes.map(({ id }: { id: string }) => id)).not.toContain(household.ids.account);
    expect(accounts.totalCount).toBe(accounts.nodes.length);
  });

  test('its token is unknown', async () => {
    const { ids, token, caller } = await createHousehold(administrator, receiver);
    await deleteAccount(ids.account);
    expect((await app.send(token, '{}')).status).toBe(401);
    expect((await caller.graphql(`{ account(id: "${ids.account}") { id } }`)).errors?.[0]?.extensions.code).toBe(
      'UNAUTHENTICATED',
    );
  });

  test('its email address is free', async () => {
    const email = `${crypto.randomUUID()}@example.com`;
    for (let round = 1; round <= 3; round += 1) {
      const { id } = await administrator.createAccount(email);
      await deleteAccount(id);
    }
    expect(await administrator.createAccount(email)).toMatchObject({ id: expect.any(String) });
  });
});

describe('once a destination is deleted', () => {
  test('nothing of it can be read or changed, and the event tells of the others alone', async () => {
    const household = await createHousehold(administrator, receiver);
    const other = await administrator.createDestination(household.ids.account, receiver.url());
    const eventId = await app.sendAccepted(household.token, '{}');
    await deleteDestination(household.ids.destination);
    await expectGone(household, BELOW_DESTINATION);
    const query = `query ($id: ID!, $account: ID!) {
      event(id: $id) { deliveries { destination { id } } } account(id: $account) { destinations { id } }
    }`;
    const { event, account } = await administrator.data(query, { id: eventId, account: household.ids.account });
    expect(event.deliveries).toEqual([{ destination: { id: other } }]);
    expect(account.destinations).toEqual([{ id: other }]);
  });

  test('it cannot be enabled, and gets no new events', async () => {
    const { ids, token } = await createHousehold(administrator, receiver);
    await deleteDestination(ids.destination);
    const query = 'mutation ($id: ID!) { updateDestination(id: $id, input: { enabled: true }) { id } }';
    const { errors } = await administrator.graphql(query, { id: ids.destination });
    expect(errors?.[0]?.extensions.code).toBe('NOT_FOUND');
    expect(await (await app.send(token, '{}')).json()).toMatchObject({ success: true, deliveries: 0 });
  });

  test('it is not counted among those that an account may have, and not in the answer to a duplicate', async () => {
    const { id, token } = await administrator.createAccount();
    const ids: string[] = [];
    for (let number = 1; number <= DESTINATIONS_PER_ACCOUNT_MAX; number += 1) {
      ids.push(await administrator.createDestination(id, receiver.url()));
    }
    const key = { 'Idempotency-Key': 'the-same' };
    expect(await (await app.send(token, '{}', key)).json()).toMatchObject({ deliveries: ids.length });
    await deleteDestination(ids[0] as string);
    expect(await (await app.send(token, '{}', key)).json()).toMatchObject({ deliveries: ids.length - 1 });
    await administrator.createDestination(id, receiver.url());
  });
});

describe('after the answer to a deletion nothing more is sent', () => {
  const deletions: [title: string, remove: (ids: { account: string; destination: string }) => Promise<unknown>][] = [
    ['account', ({ account }) => deleteAccount(account)],
    ['destination', ({ destination }) => deleteDestination(destination)],
  ];

  test.each(deletions)('of what is pending when its %s goes, be it claimed already', async (_title, remove) => {
    const { answer, release } = heldAnswers();
    let quickUntil = 0;
    await using slow = await Receiver.start((response, ...rest) =>
      slow.received.length > quickUntil ? answer(response, ...rest) : void response.end(),
    );
    const { id: account, token } = await administrator.createAccount();
    const destination = await administrator.createDestination(account, slow.url());
    await Promise.all(Array.from({ length: 60 }, () => app.sendAccepted(token, '{}')));
    await slow.arrived(2);
    // While it answers quickly it gets claims ahead; then it hangs.
    quickUntil = 20;
    release();
    await slow.arrived(22);
    await deliverElsewhere();
    await remove({ account, destination });
    const sent = slow.received.length;
    release();
    await deliverElsewhere();
    await deliverElsewhere();
    expect(slow.received).toHaveLength(sent);
  });
});

async function deliverElsewhere(): Promise<void> {
  const { id, token } = await administrator.createAccount();
  await administrator.createDestination(id, receiver.url());
  const eventId = await app.sendAccepted(token, '{}');
  const { event } = await administrator.data('query ($id: ID!) { event(id: $id) { deliveries { id } } }', {
    id: eventId,
  });
  await settled(administrator, event.deliveries[0].id, 'SUCCEEDED');
}
