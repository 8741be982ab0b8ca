import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { LargeBodies, type Reservation } from '../../src/ingest/body-memory.ts';
import { HttpError } from '../../src/access/http-error.ts';

const MIB = 1_048_576;

let bodies: LargeBodies;
/** What became of each, in the order in which it did. */
let log: string[];

beforeEach(() => {
  jest.useFakeTimers();
  bodies = new LargeBodies();
  log = [];
});
afterEach(() => void jest.useRealTimers());

/** Lets promises settle. */
async function settled(): Promise<void> {
  await jest.advanceTimersByTimeAsync(0);
}

/** @returns the reservation, once it is granted */
async function ask(name: string, mib: number, owner = name, signal = new AbortController().signal) {
  const taken: { reservation?: Reservation } = {};
  bodies.reserve({ owner, bytes: mib * MIB }, signal).then(
    (reservation) => {
      log.push(name);
      reservation.onRevoked = ({ status }) => log.push(`${name} revoked: ${status}`);
      taken.reservation = reservation;
    },
    (error: unknown) => log.push(`${name} refused: ${error instanceof HttpError ? error.status : String(error)}`),
  );
  await settled();
  return taken;
}

describe('memory for large bodies', () => {
  test('is there for all that fit, and given to the next when it is free', async () => {
    const first = await ask('first', 60);
    await ask('second', 30);
    await ask('third', 60);
    expect(log).toEqual(['first', 'second']);
    first.reservation?.release();
    first.reservation?.release();
    await settled();
    expect(log).toEqual(['first', 'second', 'third']);
  });

  test('goes in the order of the announcements: a large one is not passed over for small ones', async () => {
    const first = await ask('first', 90);
    await ask('large', 60);
    await ask('small', 1);
    expect(log).toEqual(['first']);
    first.reservation?.release();
    await settled();
    expect(log).toEqual(['first', 'large', 'small']);
  });

  test('is never all held by one account', async () => {
    const first = await ask('first', 40, 'greedy');
    await ask('second', 40, 'greedy');
    await ask('other', 30);
    expect(log).toEqual(['first', 'other']);
    first.reservation?.release();
    await settled();
    expect(log).toEqual(['first', 'other', 'second']);
  });

  test('is enough for a body that is larger than everything, alone', async () => {
    const first = await ask('first', 1);
    const giant = await ask('giant', 200);
    await ask('last', 1);
    first.reservation?.release();
    await settled();
    expect(log).toEqual(['first', 'giant']);
    giant.reservation?.release();
    await settled();
    expect(log).toEqual(['first', 'giant', 'last']);
  });

  test('is refused after 15 seconds, and those behind get what fits', async () => {
    const first = await ask('first', 90);
    first.reservation?.complete();
    await ask('large', 60);
    await jest.advanceTimersByTimeAsync(10_000);
    await ask('small', 1);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(log).toEqual(['first', 'large refused: 503', 'small']);
  });

  test('is not waited for by a sender who has gone', async () => {
    const first = await ask('first', 90);
    const gone = new AbortController();
    await ask('gone', 60, 'gone', gone.signal);
    await ask('small', 1);
    gone.abort();
    await settled();
    expect(log).toEqual(['first', 'gone refused: 503', 'small']);
    first.reservation?.release();
  });

  test('is revoked from a sender who is slow while others wait, and from no other', async () => {
    const slow = await ask('slow', 64);
    const quick = await ask('quick', 16);
    const here = await ask('here', 16);
    here.reservation?.complete();
    await jest.advanceTimersByTimeAsync(8_000);
    expect(log).toEqual(['slow', 'quick', 'here']);
    slow.reservation?.add(5 * MIB);
    quick.reservation?.add(15 * MIB);
    await ask('next', 32);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(log).toEqual(['slow', 'quick', 'here', 'slow revoked: 503', 'next']);
  });
});
