import { beforeEach, describe, expect, test } from '@jest/globals';
import { Payloads } from '../../src/dispatch/payloads.ts';
import type { ClaimedDelivery } from '../../src/storage/statements.ts';

const MIB = 1_048_576;

let loaded: string[];
let payloads: Payloads;

beforeEach(() => {
  loaded = [];
  payloads = new Payloads(async (eventId, target) => {
    loaded.push(eventId);
    target.write(eventId);
    return true;
  });
});

function delivery(eventId: string, mib: number, accountId = eventId): ClaimedDelivery {
  return { eventId, accountId, payload: null, payloadLength: mib * MIB } as ClaimedDelivery;
}

/** A request that is under way until `end` is called. */
function borrow(one: ClaimedDelivery) {
  const { promise, resolve: end } = Promise.withResolvers<void>();
  const started = Promise.withResolvers<string | undefined>();
  const ended = payloads.lend(one, async (payload) => {
    started.resolve(payload?.toString('utf8', 0, one.eventId.length));
    await promise;
  });
  return {
    started: started.promise,
    end: async () => {
      end();
      await ended;
    },
  };
}

describe('payloads', () => {
  test('come with the claim where they are small', async () => {
    const small = { ...delivery('a', 0), payload: Buffer.from('{}') };
    expect(await payloads.lend(small, async (payload) => payload?.toString())).toBe('{}');
    expect(loaded).toEqual([]);
  });

  test('are loaded once for all deliveries of an event that are under way', async () => {
    const all = Array.from({ length: 100 }, () => borrow(delivery('a', 1)));
    expect(new Set(await Promise.all(all.map(({ started }) => started)))).toEqual(new Set(['a']));
    expect(loaded).toEqual(['a']);
    await Promise.all(all.map(({ end }) => end()));
    await borrow(delivery('a', 1)).started;
    expect(loaded).toEqual(['a', 'a']);
  });

  test('of 64 MiB are lent at the same time, and the next ones in their order', async () => {
    const first = borrow(delivery('a', 40));
    const [second, third] = [borrow(delivery('b', 30)), borrow(delivery('c', 10))];
    await first.started;
    expect(loaded).toEqual(['a']);
    await first.end();
    await Promise.all([second.started, third.started]);
    expect(loaded).toEqual(['a', 'b', 'c']);
  });

  test('that are larger than that are lent alone', async () => {
    const [first, huge] = [borrow(delivery('a', 1)), borrow(delivery('b', 1_000))];
    await first.started;
    expect(loaded).toEqual(['a']);
    await first.end();
    await huge.started;
  });

  test('of an account take half of the room at most, so that others need not wait for it', async () => {
    const slow = Array.from({ length: 5 }, (_, index) => borrow(delivery(`slow-${index}`, 16, 'slow')));
    await Promise.all([slow[0]?.started, slow[1]?.started]);
    await borrow(delivery('other', 16)).started;
    expect(loaded).toEqual(['slow-0', 'slow-1', 'other']);
  });

  test('that cannot be read are nobody’s, and take no room', async () => {
    const broken = new Payloads(() => Promise.reject(new Error('The database is away.')));
    await expect(broken.lend(delivery('a', 64), async () => {})).rejects.toThrow('away');
    await expect(broken.lend(delivery('b', 64), async () => {})).rejects.toThrow('away');
  });
});
