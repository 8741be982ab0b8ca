import type { Backing } from './backing.ts';
import { PAYLOAD } from './payload.ts';

const CHUNK = 100_000;
/** One event a millisecond, from the beginning of 2025. */
const FIRST_MS = 1_735_689_600_000;

interface FillOrder {
  readonly accountId: string;
  readonly destinationId: string;
  readonly events: number;
}

/** How a database writes the rows of a range of numbers. */
interface Words {
  /** Asks for the names of the columns of deliveries. */
  readonly columns: string;
  /** A relation `n` with the numbers `i` from `first` to `last`. */
  readonly numbers: (first: number, last: number) => string;
  /** Twelve hexadecimal digits of `i`, moved by the first time. */
  readonly digits: string;
  readonly uuid: (text: string) => string;
  readonly time: string;
  readonly payload: string;
}

const WORDS: Readonly<Record<Backing['dialect'], Words>> = {
  sqlite: {
    columns: "select name from pragma_table_info('delivery')",
    numbers: (first, last) =>
      `with recursive n (i) as (select ${first} union all select i + 1 from n where i < ${last})`,
    digits: `printf('%012x', ${FIRST_MS} + i)`,
    uuid: (text) => text,
    time: `${FIRST_MS} + i`,
    payload: `x'${Buffer.from(PAYLOAD).toString('hex')}'`,
  },
  postgresql: {
    columns: "select column_name as name from information_schema.columns where table_name = 'delivery'",
    numbers: (first, last) => `with n as (select generate_series(${first}, ${last}) as i)`,
    digits: `lpad(to_hex(${FIRST_MS} + i), 12, '0')`,
    uuid: (text) => `(${text})::uuid`,
    time: `to_timestamp((${FIRST_MS} + i) / 1000.0)`,
    payload: `'\\x${Buffer.from(PAYLOAD).toString('hex')}'::bytea`,
  },
};

/**
 * Writes events that were delivered long ago, by the database's own means, while no server has it. PostgreSQL
 * knows them afterwards, as it would if they had come over the years.
 */
export async function fillFinished(backing: Backing, order: FillOrder): Promise<void> {
  const words = WORDS[backing.dialect];
  const columns = (await backing.execute(words.columns)).map(({ name }) => name);
  // Version 0.1 has it there.
  const hasRounds = columns.includes('round_start');
  for (let first = 0; first < order.events; first += CHUNK) {
    const last = Math.min(first + CHUNK, order.events) - 1;
    for (const statement of statements(words, { ...order, hasRounds }, [first, last])) {
      await backing.execute(statement);
    }
  }
  if (backing.dialect === 'postgresql') {
    await backing.execute('vacuum analyze');
  }
}

function statements(
  { numbers, digits, uuid, time, payload }: Words,
  { accountId, destinationId, hasRounds }: FillOrder & { readonly hasRounds: boolean },
  range: readonly [number, number],
): string[] {
  const idEnding = (end: string) =>
    uuid(`substr(${digits}, 1, 8) || '-' || substr(${digits}, 9, 4) || '-7000-8000-000000000${end}'`);
  const [eventId, deliveryId] = [idEnding('000'), idEnding('001')];
  const insert = (into: string, values: readonly string[]) =>
    `${numbers(...range)} insert into ${into} select ${values.join(', ')} from n`;
  return [
    insert('event (id, account_id, payload, received_at)', [eventId, uuid(`'${accountId}'`), payload, time]),
    insert(
      `delivery (id, event_id, destination_id, status, attempt_count, completed_at${hasRounds ? ', round_start' : ''})`,
      [deliveryId, eventId, uuid(`'${destinationId}'`), "'SUCCEEDED'", '1', time, ...(hasRounds ? ['0'] : [])],
    ),
    insert('attempt (delivery_id, number, started_at, duration_ms, status_code)', [deliveryId, '1', time, '5', '200']),
  ];
}
