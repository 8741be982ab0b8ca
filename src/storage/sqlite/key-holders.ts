import { sql } from 'kysely';
import { ID_STEM_CHARACTERS } from '../../core/ids.ts';
import { EVERYTHING } from '../../core/scope.ts';
import { isLivingDestination } from '../living.ts';
import { PackedBytes } from '../packed-bytes.ts';
import type { Statement } from '../group-commit.ts';
import type { EarlierEvent, Statements } from '../statements.ts';

type Row = Omit<EarlierEvent, 'hasSamePayload'> & { readonly place: number; readonly hasSamePayload: number };

export const KEY_HOLDERS: Statements<Statement>['keyHolders'] = {
  statements(questions) {
    const payloads = new PackedBytes();
    const rows = JSON.stringify(
      questions.map(({ tokenHash, idempotencyKey, expiredAt, payload }) => [
        tokenHash,
        idempotencyKey,
        expiredAt,
        ...payloads.add(payload),
      ]),
    );
    const holders = sql`
      from json_each(${rows}) q
        cross join account a on a.token_hash = q.value ->> 0
        cross join event e on e.account_id = a.id and e.idempotency_key = q.value ->> 1`;
    return [
      sql`
        update event set idempotency_key = null
        where id in (select e.id ${holders} where e.received_at <= q.value ->> 2)`,
      sql`
        select q.key as place, e.id, (select count(*) from delivery
                where ${isLivingDestination(sql`destination_id`, EVERYTHING)} and id > e.id and id <= substr(e.id, 1, ${sql.lit(ID_STEM_CHARACTERS)}) || 'fff') as deliveries,
               e.payload = substr(${payloads.toBuffer()}, q.value ->> 3, q.value ->> 4) as "hasSamePayload"
        ${holders}`,
    ];
  },

  results(questions, [, rows = []]) {
    const byPlace = new Map((rows as Row[]).map((row) => [row.place, row]));
    return questions.map((_, place) => {
      const row = byPlace.get(place);
      return row && { id: row.id, deliveries: row.deliveries, hasSamePayload: row.hasSamePayload === 1 };
    });
  },
};
