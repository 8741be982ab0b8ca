import { sql } from 'kysely';
import { ID_STEM_CHARACTERS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isLivingDestination } from '../living.ts';
import { PackedBytes } from '../packed-bytes.ts';
import type { Statement } from '../group-commit.ts';
import type { EarlierEvent, Statements } from '../statements.ts';

type Row = EarlierEvent & { readonly place: number };

/** Rows are locked in the order of their ids, so that two of these statements cannot wait for each other. */
export const KEY_HOLDERS: Statements<Statement>['keyHolders'] = {
  statements(questions) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      questions.map(({ tokenHash, idempotencyKey, expiredAt, payload }, place) => {
        const [start, length] = payloads.add(payload);
        return { place, token_hash: tokenHash, idempotency_key: idempotencyKey, expired_at: expiredAt, start, length };
      }),
    );
    return [
      sql`
        with question as (
          select * from json_to_recordset(${rows}::json)
            as q (place int, token_hash text, idempotency_key text, expired_at bigint, start int, length int)
        ), holder as (
          select q.*, e.id, e.payload, e.received_at <= to_timestamp(q.expired_at / 1000.0) as is_expired
          from question q
            join account a on a.token_hash = q.token_hash
            join event e on e.account_id = a.id and e.idempotency_key = q.idempotency_key
        ), expired as (
          select id from event where id in (select id from holder where is_expired) order by id for update
        ), freed as (
          update event set idempotency_key = null where id in (select id from expired)
        )
        select h.place, h.id, (select count(*)::int from delivery
                where ${isLivingDestination(sql`destination_id`, EVERYTHING)} and id > h.id and id <= (left(h.id::text, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff')::uuid) as "deliveries",
               h.payload = substring(${payloads.toBuffer()}::bytea from h.start for h.length) as "hasSamePayload"
        from holder h where not h.is_expired`,
    ];
  },

  results(questions, [rows = []]) {
    const byPlace = new Map((rows as readonly Row[]).map(({ place, ...earlier }) => [place, earlier]));
    return questions.map((_, place) => byPlace.get(place));
  },
};
