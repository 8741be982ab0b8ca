import { describe, expect, test } from '@jest/globals';
import type { Ticket } from '../../src/core/delivery.ts';
import type { PolicyPatch } from '../../src/core/delivery-policy.ts';
import { EVERYTHING } from '../../src/core/scope.ts';
import { policyOf } from '../../src/storage/policy-columns.ts';
import { leaseMsOf } from '../../src/storage/statements.ts';
import { storeForEachTest, STORES } from './backends.ts';
import { deliveryActions, OVER } from './delivery-actions.ts';

const DEFAULT_LEASE_MS = 45_000;

describe.each(STORES)('the policies of claimed deliveries on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);
  const { claim, claimLane, claimLost } = deliveryActions(store);

  async function deliveryWith(policy: PolicyPatch): Promise<{ ticket: Ticket; destinationId: string }> {
    const { token, destinationIds } = await fixture.account(1);
    const destinationId = destinationIds[0] as string;
    await fixture.updateDestination(destinationId, { policy });
    const [ticket] = await fixture.event(token);
    return { ticket: ticket as Ticket, destinationId };
  }

  /** How long the present lease lasts from now, to the second. */
  async function leaseOf({ deliveryId }: Ticket, act: () => Promise<unknown>): Promise<number> {
    const before = Date.now();
    await act();
    const { dueAt } = (await store.storage.reads(EVERYTHING).deliveries.delivery(deliveryId)) ?? {};
    return Math.round(((dueAt?.getTime() ?? 0) - before) / 1_000) * 1_000;
  }

  test('come with every kind of claim', async () => {
    const policy = { timeoutMs: 300, retrySchedule: [0, 5], maxConcurrency: 3, stopOn: [404] };
    const claimed = { policy: { ...policyOf({}), ...policy } };
    const first = await deliveryWith(policy);
    expect(await claim(first.ticket, OVER)).toMatchObject(claimed);
    const second = await deliveryWith(policy);
    expect(await claimLane(second.destinationId)).toMatchObject([claimed]);
    const third = await deliveryWith({});
    await claim(third.ticket, OVER);
    expect(await claimLost(third.destinationId)).toMatchObject({ policy: policyOf({}) });
  });

  test('hold as they are when the claim is made', async () => {
    const { ticket, destinationId } = await deliveryWith({ maxConcurrency: 2 });
    await fixture.updateDestination(destinationId, { policy: { maxConcurrency: 5, retrySchedule: [] } });
    expect(await claim(ticket)).toMatchObject({ policy: { maxConcurrency: 5, retrySchedule: [], stopOn: null } });
  });

  test("end each lease by its own delivery's timeout", async () => {
    const long = await deliveryWith({ timeoutMs: 120_000 });
    const short = await deliveryWith({ timeoutMs: 1_000 });
    const plain = await deliveryWith({ maxConcurrency: 1 });
    expect(await leaseOf(long.ticket, () => claim(long.ticket))).toBe(leaseMsOf(120_000));
    expect(await leaseOf(short.ticket, () => claimLane(short.destinationId))).toBe(leaseMsOf(1_000));
    expect(await leaseOf(plain.ticket, () => claim(plain.ticket))).toBe(DEFAULT_LEASE_MS);
  });

  test('also end the lease of a delivery whose worker died', async () => {
    const { ticket, destinationId } = await deliveryWith({});
    await claim(ticket, OVER);
    await fixture.updateDestination(destinationId, { policy: { timeoutMs: 60_000 } });
    expect(await leaseOf(ticket, () => claimLost(destinationId))).toBe(leaseMsOf(60_000));
  });
});
