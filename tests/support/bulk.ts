import { type Kysely, sql } from 'kysely';
import { EVERYTHING } from '../../src/core/scope.ts';
import type { Storage } from '../../src/storage/storage.ts';

export interface Bulk {
  readonly accountId: string;
  readonly destinationId: string;
  readonly deliveries: number;
}

/**
 * Puts events with a delivery each below an account and its destination, past the product: every second one is
 * pending, and the others are delivered, with an attempt each.
 */
export async function insertBulk(
  { fork, isSoleOwner }: Storage,
  { accountId, destinationId, deliveries }: Bulk,
): Promise<void> {
  const database: Kysely<unknown> = fork(EVERYTHING).getKysely();
  const numbers = sql`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${deliveries})`;
  const [hex, now, no] = isSoleOwner
    ? [sql`printf('%08x', i)`, sql`1767225600000`, sql`0`]
    : [sql`lpad(to_hex(i), 8, '0')`, sql`now()`, sql`false`];
  const id = (ordinal: string) => {
    const text = sql`${hex} || ${destinationId.slice(8, 33) + ordinal}`;
    return isSoleOwner ? text : sql`(${text})::uuid`;
  };
  const statements = [
    sql`insert into event (id, account_id, payload, received_at, hops) ${numbers}
      select ${id('000')}, ${uuid(accountId)}, ${Buffer.from('{"a":1}')}, ${now}, 0 from n`,
    sql`insert into delivery (id, event_id, destination_id, status, attempt_count, completed_at) ${numbers}
      select ${id('001')}, ${id('000')}, ${uuid(destinationId)},
        case when i % 2 = 0 then 'PENDING' else 'SUCCEEDED' end, i % 2, case when i % 2 = 0 then null else ${now} end from n`,
    sql`insert into queue (delivery_id, event_id, destination_id, attempt_count, round_start, lost_count, due_at, waits)
      ${numbers} select ${id('001')}, ${id('000')}, ${uuid(destinationId)}, 0, 0, 0, ${now}, ${no} from n where i % 2 = 0`,
    sql`insert into attempt (delivery_id, number, started_at, duration_ms, status_code)
      ${numbers} select ${id('001')}, 1, ${now}, 1, 200 from n where i % 2 = 1`,
  ];
  for (const statement of statements) {
    await statement.execute(database);
  }

  function uuid(text: string) {
    return isSoleOwner ? sql`${text}` : sql`${text}::uuid`;
  }
}
