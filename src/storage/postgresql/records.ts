import { sql } from 'kysely';
import { saysGone } from '../../core/delivery.ts';
import { PackedBytes } from '../packed-bytes.ts';
import type { AttemptRecord, Statements } from '../statements.ts';

/**
 * Destinations that are gone are locked before the deliveries, which the count asks for: a deletion locks in
 * that order too, and two that lock in opposite orders would wait for each other.
 */
export const RECORDS: Statements['records'] = {
  statements(records) {
    const bodies = new PackedBytes();
    const rows = JSON.stringify(records.map((record) => toRow(record, bodies)));
    return [
      sql`
        with record as (
          select * from json_to_recordset(${rows}::json) as r (
            id uuid, attempt int, started_at bigint, duration_ms int, status_code int, error text,
            status text, due_at bigint, completed_at bigint, start int, length int, gone boolean)
        ), gone as (
          select id from destination where disabled_at is null and id in (
            select d.destination_id from record r join delivery d on d.id = r.id where r.gone
          ) order by id for no key update
        ), mine as (
          select d.id, d.destination_id, r.attempt, r.gone
          from delivery d join record r on r.id = d.id and r.attempt = d.attempt_count
          where d.status = 'PENDING' and (select count(*) from gone) >= 0 order by d.id for update of d
        ), disabled as (
          update destination x set disabled_at = to_timestamp(r.completed_at / 1000.0)
          from record r join mine m on m.id = r.id and m.attempt = r.attempt
          where m.gone and x.id = m.destination_id and x.disabled_at is null
        ), updated as (
          update delivery d set status = r.status,
            due_at = to_timestamp(r.due_at / 1000.0), completed_at = to_timestamp(r.completed_at / 1000.0)
          from record r join mine m on m.id = r.id and m.attempt = r.attempt
          where d.id = r.id
          returning d.id
        ), logged as (
          insert into attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
          select r.id, r.attempt, to_timestamp(r.started_at / 1000.0), r.duration_ms, r.status_code, r.error,
                 case when r.start is not null then substring(${bodies.toBuffer()}::bytea from r.start for r.length) end
          from record r join mine m on m.id = r.id and m.attempt = r.attempt
        )
        select id from updated`,
    ];
  },

  results(records, [updated = []]) {
    const recorded = new Set((updated as readonly { id: string }[]).map(({ id }) => id));
    return records.map(({ deliveryId }) => recorded.has(deliveryId));
  },
};

function toRow({ deliveryId, attempt, outcome, state }: AttemptRecord, bodies: PackedBytes): Record<string, unknown> {
  const [start, length] = outcome.responseBody === null ? [null, null] : bodies.add(outcome.responseBody);
  return {
    id: deliveryId,
    attempt,
    started_at: outcome.startedAt,
    duration_ms: outcome.durationMs,
    status_code: outcome.statusCode,
    error: outcome.error,
    status: state.status,
    due_at: state.dueAt,
    completed_at: state.completedAt,
    start,
    length,
    gone: saysGone(outcome),
  };
}
