import { randomFillSync } from 'node:crypto';
import type { Clock } from './clock.ts';
import { DomainError } from './errors.ts';

/**
 * Ids are UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then a 12-bit counter that keeps the ids of one
 * process in order within a millisecond, then 50 random bits. They sort by time, so cursors contain ids.
 *
 * The last 12 bits of a new id are zero. The deliveries of an event have the event's id with those bits set to 1, 2, 3
 * and so on. The database can thus number deliveries in the statement that inserts them, without a round trip. The
 * package uuid also makes UUIDv7, but fills these bits with random ones.
 */
export type IdSource = () => string;

/** The hexadecimal digits at the end of an id that number deliveries. */
export const ORDINAL_DIGITS = 3;

/** The length of the part that a delivery's id shares with its event's id. */
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
      // Using the next millisecond keeps ids unique and in order even when the clock stands still.
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

/** The highest number of a delivery within its event. */
export const ORDINAL_MAX = 16 ** ORDINAL_DIGITS - 1;

/** @param ordinal from 1 to `ORDINAL_MAX` */
export function deliveryIdOf(eventId: string, ordinal: number): string {
  return eventId.slice(0, -ORDINAL_DIGITS) + ordinal.toString(16).padStart(ORDINAL_DIGITS, '0');
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** False for text that cannot be an id. Such an id is unknown without asking the database. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** `isId` for a value of any type, received from outside. */
export function isReceivedId(value: unknown): value is string {
  return typeof value === 'string' && isId(value);
}

/** @throws DomainError NOT_FOUND for text that cannot be an id */
export function requireId(text: string, what: Parameters<typeof DomainError.notFound>[0]): void {
  if (!isId(text)) {
    throw DomainError.notFound(what);
  }
}
