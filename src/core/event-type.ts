import { type DottedPath, valueAt } from './dotted-path.ts';
import { DomainError } from './errors.ts';

const CHARACTERS_MAX = 128;
/** What Data Pusher itself tells of. */
const RESERVED_PREFIX = 'data-pusher.';
const TYPE = /^[A-Za-z0-9._-]{1,128}$/;
const TYPE_FORM = `1 to ${CHARACTERS_MAX} characters of A-Z, a-z, 0-9, ".", "_" and "-"`;

export const EVENT_TYPES_MAX = 50;
const EVERYTHING_BELOW = '.*';

/** The types that a destination takes. */
export interface EventTypes {
  readonly exact: ReadonlySet<string>;
  /** Each ends in a dot. */
  readonly prefixes: readonly string[];
}

/** @returns a sentence that says why no sender may use this type, or undefined. */
export function faultInEventType(text: string): string | undefined {
  if (!TYPE.test(text)) {
    return `The event type must have ${TYPE_FORM}.`;
  }
  return isReserved(text) ? `Event types that begin with "${RESERVED_PREFIX}" are reserved.` : undefined;
}

function isReserved(type: string): boolean {
  return type.startsWith(RESERVED_PREFIX);
}

/**
 * @param payload as `JSON.parse` made it
 * @returns null where the path leads to no type that a sender may use
 */
export function eventTypeIn(payload: unknown, path: DottedPath): string | null {
  const value = valueAt(payload, path);
  return typeof value === 'string' && faultInEventType(value) === undefined ? value : null;
}

/**
 * Each entry is a type, or ends in ".*" and takes everything below. Reserved types may be named.
 *
 * @throws DomainError BAD_USER_INPUT
 */
export function parseEventTypes(entries: readonly string[]): EventTypes {
  if (entries.length === 0 || entries.length > EVENT_TYPES_MAX) {
    throw badTypes(`There must be 1 to ${EVENT_TYPES_MAX} event types; null stands for all.`);
  }
  const exact = new Set<string>();
  const prefixes: string[] = [];
  for (const entry of entries) {
    const isPattern = entry.endsWith(EVERYTHING_BELOW);
    const stem = isPattern ? entry.slice(0, -EVERYTHING_BELOW.length) : entry;
    if (!TYPE.test(stem)) {
      throw badTypes(`Each event type must have ${TYPE_FORM}, and may end in ".*" for all types below it.`);
    }
    if (isPattern) {
      prefixes.push(`${stem}.`);
    } else {
      exact.add(entry);
    }
  }
  return { exact, prefixes };
}

function badTypes(rule: string): DomainError {
  return DomainError.badInput('eventTypes', rule);
}

/**
 * @param wanted null for all types but reserved ones, and for events without a type
 * @param type null for an event without one
 */
export function takesType(wanted: EventTypes | null, type: string | null): boolean {
  if (wanted === null) {
    return type === null || !isReserved(type);
  }
  return type !== null && (wanted.exact.has(type) || wanted.prefixes.some((prefix) => type.startsWith(prefix)));
}
