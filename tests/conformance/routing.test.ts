import { describe, expect, test } from '@jest/globals';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Ticket } from '../../src/core/delivery.ts';
import type { Route } from '../../src/storage/event-store.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';
import { changeRoutes, storedRouting } from '../support/route-changes.ts';
import { DELIVERED, firstClaimed, NOW, routeAtOnce } from '../support/store-fixture.ts';
import { storeForEachTest, STORES } from './backends.ts';

describe.each(STORES)('the routes of an account on $name', ({ create }) => {
  const { store, fixture } = storeForEachTest(create);

  interface Given {
    readonly token: string;
    readonly type?: string | null;
    readonly payload?: unknown;
    readonly route?: Route;
  }

  async function accept({ token, type = null, payload = {}, route = routeAtOnce }: Given) {
    const id = fixture.newId();
    const bytes = Buffer.from(JSON.stringify(payload));
    const event = { id, token, type, payload: bytes, idempotencyKey: null, receivedAt: NOW, hops: 0 };
    const accepted = await store.storage.events.accept(event, route);
    return { id, tickets: accepted?.tickets ?? [] };
  }
  const claimOf = ([ticket]: readonly Ticket[]) =>
    firstClaimed(store.storage.deliveries.claim({ ticket: ticket as Ticket, leaseMs: 60_000, blame: 1 }));
  const routing = async (given: Given) => storedRouting(store.storage, (await accept(given)).id);

  test('events without rules go to all enabled destinations, and only disabled ones leave a trace', async () => {
    const { id: accountId, token, destinationIds } = await fixture.account(3);
    const [first, second, third] = destinationIds as [string, string, string];
    expect(await routing({ token })).toEqual({ type: null, skipped: null, destinationIds });
    await changeRoutes(store.storage, { accountId, destinationId: second, isEnabled: false });
    expect(await routing({ token, type: 'order.paid' })).toEqual({
      type: 'order.paid',
      skipped: [[second, 'DISABLED']],
      destinationIds: [first, third],
    });
  });

  test('types and filters choose among destinations, and each skip is stored with its reason', async () => {
    const { id: accountId, token, destinationIds } = await fixture.account(4);
    const [all, refunds, large, off] = destinationIds as [string, string, string, string];
    await changeRoutes(store.storage, { accountId, destinationId: refunds, eventTypes: '["refund.*"]' });
    await changeRoutes(store.storage, { accountId, destinationId: large, filter: '{"data.amount":{"$gte":100}}' });
    await changeRoutes(store.storage, { accountId, destinationId: off, isEnabled: false, filter: '{"a":1}' });
    expect(await routing({ token, type: 'refund.made', payload: { data: { amount: 7 } } })).toEqual({
      type: 'refund.made',
      skipped: [
        [large, 'FILTERED', 'data.amount'],
        [off, 'DISABLED'],
      ],
      destinationIds: [all, refunds],
    });
    expect(await routing({ token, payload: { data: { amount: 100 } } })).toEqual({
      type: null,
      skipped: [
        [refunds, 'TYPE_MISMATCH'],
        [off, 'DISABLED'],
      ],
      destinationIds: [all, large],
    });
  });

  test('the type is looked up by the path of the account, unless the sender names one', async () => {
    const { id: accountId, token } = await fixture.account(1);
    const typeOf = async (given: Omit<Given, 'token'>) => (await routing({ token, ...given })).type;
    expect(await typeOf({ payload: { kind: 'order.paid' } })).toBeNull();
    await changeRoutes(store.storage, { accountId, eventTypePath: 'data.kind' });
    expect(await typeOf({ payload: { data: { kind: 'order.paid' } } })).toBe('order.paid');
    expect(await typeOf({ type: 'other', payload: { data: { kind: 'order.paid' } } })).toBe('other');
    expect(await typeOf({ payload: { data: { kind: 'data-pusher.test' } } })).toBeNull();
    expect(await typeOf({ payload: { data: { kind: 7 } } })).toBeNull();
  });

  test('events of many accounts and routes in one commit each go their own way', async () => {
    const accounts = await Promise.all(Array.from({ length: 4 }, () => fixture.account(2)));
    for (const { id: accountId, destinationIds } of accounts.slice(2)) {
      await changeRoutes(store.storage, { accountId, destinationId: destinationIds[0] as string, filter: '{"n":1}' });
    }
    const given = accounts.flatMap(({ token }) => [1, 2, 1, 2].map((n) => ({ token, payload: { n } })));
    const stored = await Promise.all(given.map((one) => routing(one)));
    expect(stored.map(({ destinationIds }) => destinationIds)).toEqual(
      accounts.flatMap(({ destinationIds }, index) =>
        [1, 2, 1, 2].map((n) => (index >= 2 && n === 2 ? destinationIds.slice(1) : destinationIds)),
      ),
    );
  });

  test('a delivery comes with the type and the id of its event', async () => {
    const { token } = await fixture.account(1);
    const typed = await accept({ token, type: 'order.paid' });
    expect(await claimOf(typed.tickets)).toMatchObject({ eventId: typed.id, eventType: 'order.paid', attempt: 1 });
    expect(await claimOf((await accept({ token })).tickets)).toMatchObject({ eventType: null });
  });

  test('an event whose routes change while it is routed is routed again before it is stored', async () => {
    const { id: accountId, token, destinationIds } = await fixture.account(1);
    const [destinationId] = destinationIds as [string];
    const versions: number[] = [];
    const route: Route = async (routes, event) => {
      const routed = routeAtOnce(routes, event);
      versions.push(routes.stored.version);
      if (versions.length === 1) {
        await changeRoutes(store.storage, { accountId, destinationId, filter: '{"n":1}' });
      }
      return routed;
    };
    expect(await routing({ token, payload: { n: 2 }, route })).toEqual({
      type: null,
      skipped: [[destinationId, 'FILTERED', 'n']],
      destinationIds: [],
    });
    expect(versions).toHaveLength(2);
    expect(versions[1]).toBe((versions[0] as number) + 1);
  });

  test('routes that change with every try are given up, and nothing is stored', async () => {
    const { id: accountId, token } = await fixture.account(1);
    let tries = 0;
    const route: Route = async (routes, event) => {
      tries += 1;
      await changeRoutes(store.storage, { accountId, eventTypePath: null });
      return routeAtOnce(routes, event);
    };
    await expect(accept({ token, route })).rejects.toThrow('changed too often');
    expect(tries).toBeGreaterThan(1);
    expect(await store.storage.reads(EVERYTHING).events.eventCountOf(accountId)).toBe(0);
  });

  test('a token that was replaced, and an account that was deleted, are unknown although their routes are known', async () => {
    const { id, token } = await fixture.account(1);
    expect((await accept({ token })).tickets).toHaveLength(1);
    const next = await fixture.rotateToken(id);
    expect((await accept({ token })).tickets).toHaveLength(0);
    expect((await accept({ token: next })).tickets).toHaveLength(1);
    await fixture.deleteAccount(id);
    expect((await accept({ token: next })).tickets).toHaveLength(0);
  });

  test('destinations that say that they are gone are skipped from the record of it on', async () => {
    const { token, destinationIds } = await fixture.account(3);
    const [first, second, stays] = destinationIds as [string, string, string];
    const { tickets } = await accept({ token });
    const gone = { ...DELIVERED, statusCode: 410, error: 'HTTP_STATUS' } as const;
    const state = { status: 'FAILED', retryInMs: null, completedAt: NOW } as const;
    await Promise.all(
      tickets.slice(0, 2).map(async (ticket) => {
        const claimed = await firstClaimed(store.storage.deliveries.claim({ ticket, leaseMs: 60_000, blame: 1 }));
        await store.storage.deliveries.record({ ...(claimed as ClaimedDelivery), outcome: gone, state });
      }),
    );
    expect(await routing({ token })).toEqual({
      type: null,
      skipped: [
        [first, 'DISABLED'],
        [second, 'DISABLED'],
      ],
      destinationIds: [stays],
    });
  });
});
