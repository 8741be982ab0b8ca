import { createHash } from 'node:crypto';
import { ORDER_BY_EVERYTHING } from './delivery-policy.ts';
import { type DottedPath, parseDottedPath, valueAt } from './dotted-path.ts';

/** 132 bits: different values do not get the same key by chance. */
const KEY_CHARACTERS = 22;

/** Deliveries of a destination with the same key go one at a time. */
export type DeliveryOrder =
  | { readonly kind: 'everything'; readonly key: string }
  | { readonly kind: 'by value'; readonly path: DottedPath; readonly text: string };

/** @param text a dotted path, or `*` */
export function parseOrder(text: string): DeliveryOrder {
  return text === ORDER_BY_EVERYTHING
    ? { kind: 'everything', key: keyOf(text, '') }
    : { kind: 'by value', path: parseDottedPath(text, 'policy.orderBy'), text };
}

/**
 * The path is part of the key: two paths are two orders.
 *
 * @param payload as `JSON.parse` made it. It rounds numbers, so large ones that differ may have one key: too much order
 * does no harm.
 * @returns null where the path leads to nothing; such events have no order
 */
export function orderKeyIn(payload: unknown, { path, text }: DeliveryOrder & { kind: 'by value' }): string | null {
  const value = valueAt(payload, path);
  return value === undefined ? null : keyOf(text, canonicalJson(value));
}

function keyOf(text: string, value: string): string {
  return createHash('sha256').update(`${text}\0${value}`).digest('base64url').slice(0, KEY_CHARACTERS);
}

/** Equal values have one text, whatever the order of their keys. The depth of payloads is bounded at ingest. */
function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    // A number that is too large for JavaScript is infinite, which is no JSON.
    return typeof value === 'number' ? String(value + 0) : JSON.stringify(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map(canonicalJson).join()}]`;
  }
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join()}}`;
}
