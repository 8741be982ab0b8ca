import { sql } from 'kysely';
import { saysGone } from '../../core/delivery.ts';
import type { Statement } from '../commit-line.ts';
import { PackedBytes } from '../packed-bytes.ts';
import type { AttemptRecord, Statements } from '../statements.ts';

export const RECORDS: Statements['records'] = {
  statements(records) {
    const bodies = new PackedBytes();
    const rows = JSON.stringify(records.map((record) => toRow(record, bodies)));
    return [
      sql`
        insert into attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
        select d.id, r.value ->> 1, r.value ->> 2, r.value ->> 3, r.value ->> 4, r.value ->> 5,
               case when r.value ->> 9 is null then null
                    else substr(${bodies.toBuffer()}, r.value ->> 9, r.value ->> 10) end
        from json_each(${rows}) r
          cross join delivery d on d.id = r.value ->> 0 and d.attempt_count = r.value ->> 1 and d.status = 'PENDING'`,
      ...disableGone(records.filter(({ outcome }) => saysGone(outcome))),
      sql`
        update delivery set status = r.value ->> 6, due_at = r.value ->> 7, completed_at = r.value ->> 8
        from json_each(${rows}) r
        where delivery.id = r.value ->> 0 and attempt_count = r.value ->> 1 and status = 'PENDING'
        returning delivery.id`,
    ];
  },

  results(records, answers) {
    const updated = answers.at(-1) as { id: string }[];
    const recorded = new Set(updated.map(({ id }) => id));
    return records.map(({ deliveryId }) => recorded.has(deliveryId));
  },
};

/** Before the deliveries are updated, whose attempt and status say whether an answer still counts. */
function disableGone(records: readonly AttemptRecord[]): Statement[] {
  if (records.length === 0) {
    return [];
  }
  const rows = JSON.stringify(
    records.map(({ deliveryId, attempt, state }) => [deliveryId, attempt, state.completedAt]),
  );
  const answers = sql`
    json_each(${rows}) r
    cross join delivery d on d.id = r.value ->> 0 and d.attempt_count = r.value ->> 1 and d.status = 'PENDING'`;
  return [
    sql`
      update destination
      set disabled_at = (select min(r.value ->> 2) from ${answers} where d.destination_id = destination.id)
      where id in (select d.destination_id from ${answers}) and disabled_at is null`,
  ];
}

function toRow({ deliveryId, attempt, outcome, state }: AttemptRecord, bodies: PackedBytes): unknown[] {
  return [
    deliveryId,
    attempt,
    outcome.startedAt,
    outcome.durationMs,
    outcome.statusCode,
    outcome.error,
    state.status,
    state.dueAt,
    state.completedAt,
    ...(outcome.responseBody === null ? [null, null] : bodies.add(outcome.responseBody)),
  ];
}
