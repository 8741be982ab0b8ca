import { randomFillSync } from 'node:crypto';
import type { Clock } from './clock.ts';
import { DomainError } from './errors.ts';

/**
 * Ids are UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then a 12-bit counter that keeps the
 * ids of one process in order within a millisecond, then 50 random bits. They sort by time, so an id is
 * also the key by which pages are cut.
 *
 * The last 12 bits of a fresh id are zero. An event's deliveries take the event's id with those bits set to
 * 1, 2, 3...: the database can number them in the statement that inserts them, without a round trip.
 */
export type IdSource = () => string;

/** Bits left free at the end of an id, as hexadecimal digits. */
export const ORDINAL_DIGITS = 3;

/** What a delivery's id has in common with that of its event. */
export const ID_STEM_CHARACTERS = 36 - ORDINAL_DIGITS;

const COUNTER_LIMIT = 0x1000;
const RANDOM_POOL_BYTES = 8 * 512;

export function createIdSource(clock: Clock): IdSource {
  const pool = Buffer.alloc(RANDOM_POOL_BYTES);
  let used = RANDOM_POOL_BYTES;
  let lastMs = 0;
  let counter = 0;

  return () => {
    const now = clock.now();
    counter = now > lastMs ? 0 : counter + 1;
    lastMs = Math.max(now, lastMs);
    if (counter === COUNTER_LIMIT) {
      // Borrowing from the next millisecond keeps ids unique and in order even when the clock stands still.
      lastMs += 1;
      counter = 0;
    }
    if (used === RANDOM_POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const random = pool.toString('hex', used, used + 8);
    used += 8;
    return format(lastMs, counter, random);
  };
}

function format(ms: number, counter: number, random: string): string {
  const time = ms.toString(16).padStart(12, '0');
  const sequence = counter.toString(16).padStart(3, '0');
  const variant = (8 + (Number.parseInt(random.charAt(0), 16) & 3)).toString(16);
  const tail = random.slice(4, 4 + 12 - ORDINAL_DIGITS) + '0'.repeat(ORDINAL_DIGITS);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence}-${variant}${random.slice(1, 4)}-${tail}`;
}

/** The highest number that a delivery of an event can have. */
export const ORDINAL_MAX = 16 ** ORDINAL_DIGITS - 1;

/** @param ordinal from 1 to `ORDINAL_MAX`; see above */
export function deliveryIdOf(eventId: string, ordinal: number): string {
  return eventId.slice(0, -ORDINAL_DIGITS) + ordinal.toString(16).padStart(ORDINAL_DIGITS, '0');
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for text that can be the id of anything; other text is an unknown id, and need not reach the database. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** The same for what was received from outside, and may be anything. */
export function isReceivedId(value: unknown): value is string {
  return typeof value === 'string' && isId(value);
}

/**
 * For commands, to which text that cannot be an id is as unknown as any other.
 *
 * @throws DomainError NOT_FOUND
 */
export function requireId(text: string, what: Parameters<typeof DomainError.notFound>[0]): void {
  if (!isId(text)) {
    throw DomainError.notFound(what);
  }
}
