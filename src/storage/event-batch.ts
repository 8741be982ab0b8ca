import { createHash } from 'node:crypto';
import type { RoutedEvent } from '../core/account-routes.ts';
import type { DeliveryCount, NewEvent } from './statements.ts';

/** Events that are stored together or not at all. What they have in common stands once. */
export interface IncomingBatch extends Pick<NewEvent, 'type' | 'idempotencyKey' | 'receivedAt' | 'hops'> {
  /** At least one. */
  readonly contents: readonly Pick<NewEvent, 'id' | 'payload'>[];
  /** Of the bytes of the batch, if it has an idempotency key. */
  readonly hash: string | null;
}

/** What the first event of a batch with an idempotency key knows of it. Stored as JSON. */
export interface BatchMark {
  /** Of the bytes of the batch. */
  readonly hash: string | null;
  /** A hash of the types of its events. */
  readonly types: string;
  /** Of its events, in their order. */
  readonly ids: readonly string[];
}

/** The batch that has an idempotency key. */
export interface EarlierBatch {
  readonly hasSamePayload: boolean;
  readonly hasSameType: boolean;
  readonly events: readonly { readonly id: string; readonly deliveries: number }[];
}

/** The events as they are stored: all follow the first one, if that one has an idempotency key. */
export function batchOf(
  { contents, hash, idempotencyKey, receivedAt, hops }: IncomingBatch,
  routed: readonly RoutedEvent[],
): { events: readonly NewEvent[]; mark: BatchMark } {
  const hasKey = idempotencyKey !== null;
  const mark = { hash, types: hasKey ? typesHashOf(routed) : '', ids: contents.map(({ id }) => id) };
  const events = contents.map(({ id, payload }, index): NewEvent => {
    const isFirst = index === 0;
    return {
      id,
      payload,
      receivedAt,
      hops,
      ...(routed[index] as RoutedEvent),
      idempotencyKey: isFirst ? idempotencyKey : null,
      follows: isFirst || !hasKey ? null : (mark.ids[0] as string),
      batch: isFirst && hasKey ? JSON.stringify(mark) : null,
    };
  });
  return { events, mark };
}

function typesHashOf(routed: readonly RoutedEvent[]): string {
  const types = JSON.stringify(routed.map(({ type }) => type));
  return createHash('sha256').update(types).digest('base64url');
}

/**
 * @param text what the event with the key knows of its batch; null if it is a single event
 * @param mark of the later batch
 */
export async function earlierBatch(
  text: string | null,
  mark: BatchMark,
  countDeliveries: (eventIds: readonly string[]) => Promise<readonly DeliveryCount[]>,
): Promise<EarlierBatch> {
  const { hash, types, ids } = text === null ? NO_BATCH : (JSON.parse(text) as BatchMark);
  const isSame = hash === mark.hash && types === mark.types;
  const counts = isSame ? await countDeliveries(ids) : [];
  return {
    hasSamePayload: hash === mark.hash,
    hasSameType: types === mark.types,
    events: counts.map(({ eventId, deliveries }) => ({ id: eventId, deliveries })),
  };
}

const NO_BATCH: BatchMark = { hash: null, types: '', ids: [] };
