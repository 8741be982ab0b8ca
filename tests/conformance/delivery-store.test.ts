import { describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import { policyOf } from '../../src/storage/policy-columns.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { NOW } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';
import { deliveryActions, FAILED, OVER, retryIn } from './delivery-actions.ts';

describe.each(STORES)('deliveries on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  const { claim, claimLane, claimLost, record, lanes } = deliveryActions(store);
  const read = (id: string) => store.storage.reads(EVERYTHING).deliveries.delivery(id);

  test('a claim answers everything that the request is made of', async () => {
    const { id: accountId, token, destinationIds } = await fixture.account(1);
    const [ticket] = await fixture.event(token, NOW, Buffer.from('{"é":1.0}'));
    expect(await claim(ticket as Ticket)).toEqual({
      deliveryId: ticket?.deliveryId,
      accountId,
      place: null,
      eventId: expect.any(String),
      eventType: null,
      transform: null,
      destinationId: destinationIds[0],
      destinationVersion: 1,
      attempt: 1,
      attemptInCycle: 1,
      lostCount: 0,
      dueAt: expect.any(Number),
      hops: 0,
      url: 'http://127.0.0.1/1',
      httpMethod: 'POST',
      headers: [
        ['X-Number', '1'],
        ['x-many', ['1', '2']],
      ],
      signingSecrets: [{ secret: expect.stringMatching(/^whsec_/u), signsUntil: null }],
      payload: Buffer.from('{"é":1.0}'),
      payloadLength: 10,
      policy: policyOf({}),
      problem: null,
    });
  });

  test('a claim answers the expression of the destination as it is then, and its new version', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [first] = await fixture.event(token);
    const expression = '{\n\t"é": "it\'s" & $string(a)}';
    await fixture.updateDestination(destinationIds[0] ?? '', { transform: expression });
    expect(await claim(first as Ticket)).toMatchObject({ transform: expression, destinationVersion: 2 });
    const [second] = await fixture.event(token);
    await fixture.updateDestination(destinationIds[0] ?? '', { transform: null });
    expect(await claim(second as Ticket)).toMatchObject({ transform: null, destinationVersion: 3 });
  });

  test('the message of an attempt is stored as it is', async () => {
    const tickets = [await fixture.ticket(), await fixture.ticket(), await fixture.ticket()];
    const messages = ['The field "é" → 😀 \\ \'x\' is missing.', 'x'.repeat(500), null];
    const claims = await Promise.all(tickets.map((ticket) => claim(ticket)));
    await Promise.all(
      claims.map((one, index) =>
        record(one as ClaimedDelivery, { ...FAILED, message: messages[index] ?? null }, retryIn(60_000)),
      ),
    );
    const { deliveries } = store.storage.reads(EVERYTHING);
    const attempts = await Promise.all(tickets.map(({ deliveryId }) => deliveries.attemptsOf(deliveryId)));
    expect(attempts.map((of) => of.map(({ message }) => message))).toEqual(messages.map((message) => [message]));
  });

  test('a large payload does not come with its claims, and is read by itself', async () => {
    const { token } = await fixture.account(1);
    const payload = Buffer.from(JSON.stringify({ text: 'ab€'.repeat(2_000_000) }));
    const [ticket] = await fixture.event(token, NOW, payload);
    const claimed = await claim(ticket as Ticket);
    expect(claimed).toMatchObject({ payload: null, payloadLength: payload.length });
    const target = Buffer.alloc(payload.length);
    expect(await store.storage.deliveries.readPayload(claimed?.eventId ?? '', target)).toBe(true);
    expect(target.equals(payload)).toBe(true);
    expect(await store.storage.deliveries.readPayload(fixture.newId(), target)).toBe(false);
  });

  test('of many claims with the same ticket exactly one wins', async () => {
    const ticket = await fixture.ticket();
    const claims = await Promise.all(Array.from({ length: 50 }, () => claim(ticket)));
    expect(claims.filter((claimed) => claimed !== undefined)).toHaveLength(1);
  });

  test('a recorded success finishes the delivery for good', async () => {
    const ticket = await fixture.ticket();
    expect(await record((await claim(ticket)) as ClaimedDelivery)).toBe(true);
    expect(await lanes()).toEqual({});
    expect(await claim({ ...ticket, attempt: 1 })).toBeUndefined();
    expect(await read(ticket.deliveryId)).toMatchObject({ status: 'SUCCEEDED', attemptCount: 1, dueAt: null });
  });

  test('a recorded failure is due again when the policy says, and found by its time', async () => {
    const [soon, late] = [await fixture.ticket(), await fixture.ticket()];
    await record((await claim(soon)) as ClaimedDelivery, FAILED, retryIn(0));
    await record((await claim(late)) as ClaimedDelivery, FAILED, retryIn(60_000));
    expect(await lanes(60_000)).toEqual({ [soon.destinationId]: 'retries', [late.destinationId]: null });
    const [found, ...more] = await store.storage.deliveries.findRetries({ after: 0, limit: 10 });
    expect(found).toMatchObject({ destinationId: soon.destinationId, accountId: soon.accountId });
    expect(more).toEqual([]);
    expect(await store.storage.deliveries.findRetries({ after: found?.dueAt ?? 0, limit: 10 })).toEqual([]);
    expect(await claimLane(soon.destinationId)).toMatchObject([{ attempt: 2, lostCount: 0 }]);
    expect(await claimLane(late.destinationId)).toEqual([]);
    expect((await read(late.deliveryId))?.dueAt?.getTime()).toBeGreaterThan(Date.now() + 30_000);
  });

  test('a worker that comes late cannot overwrite a newer attempt', async () => {
    const ticket = await fixture.ticket();
    const late = (await claim(ticket, OVER)) as ClaimedDelivery;
    const newer = (await claimLost(ticket.destinationId, 0)) as ClaimedDelivery;
    expect(await record(late, FAILED, retryIn(0))).toBe(false);
    expect(await record(newer)).toBe(true);
    expect(await read(ticket.deliveryId)).toMatchObject({ status: 'SUCCEEDED', attemptCount: 2 });
  });

  test('an attempt that is recorded twice is recorded once, and takes nobody along', async () => {
    const { token } = await fixture.account(1);
    const tickets = (await Promise.all(Array.from({ length: 20 }, () => fixture.event(token)))).flat();
    const [again, retried, ...others] = (await Promise.all(tickets.map((ticket) => claim(ticket)))) as [
      ClaimedDelivery,
      ClaimedDelivery,
      ...ClaimedDelivery[],
    ];
    await Promise.all([record(again), record(retried, FAILED, retryIn(60_000))]);
    const answers = [again, again, ...others].map((one) => record(one));
    expect(await Promise.all([...answers, record(retried, FAILED, retryIn(0))])).toEqual(
      Array.from({ length: 21 }, () => true),
    );
    expect((await read(retried.deliveryId))?.dueAt?.getTime()).toBeGreaterThan(Date.now() + 30_000);
  });

  test('nothing is recorded of a delivery that was deleted meanwhile', async () => {
    const claimed = (await claim(await fixture.ticket())) as ClaimedDelivery;
    expect(await record({ ...claimed, deliveryId: fixture.newId() })).toBe(false);
  });

  test('a claim that was given back can be claimed at once, and did not count', async () => {
    const ticket = await fixture.ticket();
    await store.storage.deliveries.release([(await claim(ticket)) as ClaimedDelivery]);
    expect(await claim(ticket)).toMatchObject({ attempt: 1, lostCount: 0 });
  });

  test('the oldest due deliveries of a destination come first, from where the last look-up ended', async () => {
    const { token, destinationIds } = await fixture.account(1);
    const [destinationId] = destinationIds as [string];
    const tickets: Ticket[] = [];
    for (let count = 0; count < 10; count += 1) {
      tickets.push(...(await fixture.event(token)));
    }
    const first = await claimLane(destinationId, 4);
    const second = await claimLane(destinationId, 100, first.at(-1)?.dueAt);
    expect([...first, ...second].map(({ deliveryId }) => deliveryId)).toEqual(
      tickets.map(({ deliveryId }) => deliveryId),
    );
    expect(await claimLane(destinationId)).toEqual([]);
  });

  test('destinations are found in turn, with what is due at each, and fresh deliveries after their grace', async () => {
    const tickets = [await fixture.ticket(), await fixture.ticket(), await fixture.ticket()];
    const ids = tickets.map(({ destinationId }) => destinationId).toSorted();
    const search = { limit: 2, graceMs: 60_000 };
    expect(await store.storage.deliveries.findLanes({ ...search, after: '' })).toMatchObject([
      { destinationId: ids[0], due: null },
      { destinationId: ids[1], due: null },
    ]);
    expect(await store.storage.deliveries.findLanes({ ...search, after: ids[1] as string })).toMatchObject([
      { destinationId: ids[2], due: null },
    ]);
    expect(await lanes(0)).toEqual(Object.fromEntries(ids.map((id) => [id, 'fresh'])));
  });

  test('what two look up at the same time they share', async () => {
    const { token, destinationIds } = await fixture.account(1);
    await Promise.all(Array.from({ length: 40 }, () => fixture.event(token)));
    const [destinationId] = destinationIds as [string];
    const taken: ClaimedDelivery[] = [];
    for (let found: ClaimedDelivery[] = []; taken.length < 40; taken.push(...found)) {
      found = (await Promise.all([1, 2, 3].map(() => claimLane(destinationId, 5)))).flat();
      expect(found.length).toBeGreaterThan(0);
    }
    expect(new Set(taken.map(({ deliveryId }) => deliveryId)).size).toBe(40);
  });

  test('batches larger than one statement takes are claimed and recorded whole', async () => {
    const { token } = await fixture.account(1);
    const tickets = (await Promise.all(Array.from({ length: 1_300 }, () => fixture.event(token)))).flat();
    const claims = await Promise.all(tickets.map((ticket) => claim(ticket)));
    expect(claims.filter((claimed) => claimed !== undefined)).toHaveLength(1_300);
    const recorded = await Promise.all(claims.map((claimed) => record(claimed as ClaimedDelivery)));
    expect(recorded.every(Boolean)).toBe(true);
    expect(await lanes()).toEqual({});
  });
});
