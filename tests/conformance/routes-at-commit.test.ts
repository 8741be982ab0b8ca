import { describe, expect, test } from '@jest/globals';
import type { Storage } from '../../src/storage/storage.ts';
import { changeRoutes, storedRouting } from '../support/route-changes.ts';
import { NOW, routeAtOnce, StoreFixture } from '../support/store-fixture.ts';
import { COMPETING_STORES } from './competing-stores.ts';

const CHANGES = 60;
const SENDERS = 24;
const CHANGE_MS_MAX = 2_000;

interface Sent {
  readonly id: string;
  readonly epoch: number;
  /** The last change that had been answered when it was sent. */
  readonly from: number;
  /** The last change that had begun when it was accepted. */
  readonly to: number;
}

describe.each(COMPETING_STORES)('events that are sent while routes change, on $name', ({ open }) => {
  /**
   * Change number n is answered before n + 1 begins, and some events come in between. Senders send without a pause until
   * the last one is answered.
   */
  async function sendWhile(change: (store: Storage, number: number) => Promise<void>, { stores, token }: Sending) {
    const { newId } = new StoreFixture(() => stores[0] as Storage);
    const sent: Sent[] = [];
    const durations: number[] = [];
    let [begun, answered] = [0, 0];
    let accepted: (() => void) | undefined;
    const send = async (store: Storage, sender: number): Promise<void> => {
      for (let count = sender; answered < CHANGES; count += 1) {
        const [id, from] = [newId(), answered];
        const epoch = from + (count % 3) - 1;
        const payload = Buffer.from(JSON.stringify({ epoch }));
        const event = { id, token, type: null, payload, idempotencyKey: null, receivedAt: NOW, hops: 0 };
        await store.events.accept(event, routeAtOnce);
        sent.push({ id, epoch, from, to: begun });
        if (from === begun) {
          accepted?.();
        }
      }
    };
    const senders = Array.from({ length: SENDERS }, (_, index) =>
      send(stores[index % stores.length] as Storage, index),
    );
    while (answered < CHANGES) {
      begun += 1;
      const start = performance.now();
      await change(stores[begun % stores.length] as Storage, begun);
      durations.push(performance.now() - start);
      const next = new Promise<void>((resolve) => {
        accepted = resolve;
      });
      answered = begun;
      await (answered < CHANGES && next);
    }
    await Promise.all(senders);
    return { sent, slowestMs: Math.max(...durations) };
  }

  interface Sending {
    readonly stores: readonly Storage[];
    readonly token: string;
  }

  async function withAccount(use: (account: Sending & { accountId: string; destinationId: string }) => Promise<void>) {
    const { stores, close } = await open();
    try {
      const fixture = new StoreFixture(() => stores[0] as Storage);
      const { id: accountId, token, destinationIds } = await fixture.account(1);
      await use({ stores, token, accountId, destinationId: destinationIds[0] as string });
    } finally {
      await close();
    }
  }

  test('go by the filter that holds at their commit, and by no old one once its change is answered', async () => {
    await withAccount(async ({ stores, token, ...account }) => {
      const filterOf = (number: number) => ({ ...account, filter: JSON.stringify({ epoch: number }) });
      await changeRoutes(stores[0] as Storage, filterOf(0));
      const { sent, slowestMs } = await sendWhile((store, number) => changeRoutes(store, filterOf(number)), {
        stores,
        token,
      });
      for (const { id, epoch, from, to } of sent) {
        const { destinationIds, skipped } = await storedRouting(stores[0] as Storage, id);
        const isRouted = destinationIds.length > 0;
        expect(skipped).toEqual(isRouted ? null : [[account.destinationId, 'FILTERED', 'epoch']]);
        const mayBeRouted = epoch >= from && epoch <= to;
        const mustBeRouted = from === to && epoch === from;
        expect({ epoch, from, to, isRouted }).toEqual({
          epoch,
          from,
          to,
          isRouted: mayBeRouted && (isRouted || mustBeRouted),
        });
      }
      expect(sent.length).toBeGreaterThan(CHANGES);
      expect(slowestMs).toBeLessThan(CHANGE_MS_MAX);
    });
  }, 60_000);

  test('go to a destination of a plain account only while it is enabled', async () => {
    await withAccount(async ({ stores, token, ...account }) => {
      const { sent, slowestMs } = await sendWhile(
        (store, number) => changeRoutes(store, { ...account, isEnabled: number % 2 === 0 }),
        { stores, token },
      );
      const settled = sent.filter(({ from, to }) => from === to);
      for (const { id, from } of settled) {
        const { destinationIds } = await storedRouting(stores[0] as Storage, id);
        expect({ from, deliveries: destinationIds.length }).toEqual({ from, deliveries: from % 2 === 0 ? 1 : 0 });
      }
      expect(settled.length).toBeGreaterThan(0);
      expect(slowestMs).toBeLessThan(CHANGE_MS_MAX);
    });
  }, 60_000);
});
