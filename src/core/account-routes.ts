import { type DottedPath, parseDottedPath } from './dotted-path.ts';
import { eventTypeIn, parseEventTypes } from './event-type.ts';
import { parseFilter } from './filter-input.ts';
import { LazyPayload, type RouteDecision, routeTo, type RoutingRules } from './routing.ts';

/** Where the events of an account go, as the database has it. It can be passed between threads. */
export interface StoredRoutes {
  readonly tokenHash: string;
  readonly accountId: string;
  /** Another one whenever anything of this has changed. */
  readonly version: number;
  readonly eventTypePath: string | null;
  /** In the order in which the deliveries of an event are numbered. */
  readonly destinations: readonly StoredDestination[];
}

/** Event types and filter are JSON texts. */
type StoredDestination = readonly [id: string, isEnabled: boolean, eventTypes: string | null, filter: string | null];

/** Where one event goes, by the routes of this version. */
export interface FanOut extends Pick<StoredRoutes, 'tokenHash' | 'accountId' | 'version'> {
  /** In the order in which the deliveries of the event are numbered. */
  readonly destinationIds: readonly string[];
  /** JSON: `[[destinationId, outcome, path?], ...]`; null if the event goes to all. */
  readonly skipped: string | null;
}

export interface RoutableEvent {
  /** The type that the sender named. */
  readonly type: string | null;
  /** One JSON object. */
  readonly payload: Buffer;
}

export interface RoutedEvent {
  readonly type: string | null;
  readonly fanOut: FanOut;
}

/** Work that one turn of the event loop may do: parse so much, and look with so many bytes of rules at it. */
const PAYLOAD_BYTES_MAX = 64 * 1_024;
const RULE_BYTES_MAX = 64 * 1_024;
/** Payload times rules. A condition has 6 bytes at least and an element of the payload 2, so it is a bound for steps. */
const PRODUCT_MAX = 16 * 1_048_576;

/** A compiled rule in memory takes many times the bytes of its text. */
const BYTES_PER_RULE_BYTE = 40;
const BYTES_PER_DESTINATION = 400;
const BYTES_PER_ACCOUNT = 1_000;

interface Rules {
  readonly eventTypePath: DottedPath | null;
  readonly destinations: readonly (RoutingRules & { readonly id: string })[];
}

/**
 * The routes of an account, ready to be used. Accounts without types and filters have one fan-out for all their events:
 * nothing is parsed or computed for an event, and a batch of them carries it once.
 */
export class AccountRoutes {
  readonly stored: StoredRoutes;
  /** An estimate of the memory that it takes. */
  readonly bytes: number;
  readonly #ruleBytes: number;
  readonly #looksIntoPayloads: boolean;
  readonly #plain: FanOut | undefined;
  #compiled: Rules | undefined;

  constructor(stored: StoredRoutes) {
    const { destinations, eventTypePath } = stored;
    this.stored = stored;
    this.#ruleBytes = destinations.reduce(
      (sum, [, , types, filter]) => sum + (types?.length ?? 0) + (filter?.length ?? 0),
      0,
    );
    this.bytes =
      BYTES_PER_ACCOUNT + BYTES_PER_DESTINATION * destinations.length + BYTES_PER_RULE_BYTE * this.#ruleBytes;
    this.#looksIntoPayloads = destinations.some(([, , , filter]) => filter !== null);
    this.#plain = this.#ruleBytes === 0 && eventTypePath === null ? plainFanOut(stored) : undefined;
  }

  /** Whether routing this event takes too long for the thread that serves requests. */
  isLongWork({ type, payload: { length } }: RoutableEvent): boolean {
    const parses = this.#looksIntoPayloads || (type === null && this.stored.eventTypePath !== null);
    return (
      this.#ruleBytes > RULE_BYTES_MAX ||
      (parses && (length > PAYLOAD_BYTES_MAX || length * this.#ruleBytes > PRODUCT_MAX))
    );
  }

  route({ type: named, payload: bytes }: RoutableEvent): RoutedEvent {
    if (this.#plain !== undefined) {
      return { type: named, fanOut: this.#plain };
    }
    const { eventTypePath, destinations } = (this.#compiled ??= compile(this.stored));
    const payload = new LazyPayload(() => bytes.toString());
    const type = named ?? (eventTypePath === null ? null : eventTypeIn(payload.value, eventTypePath));
    const decisions = destinations.map((rules) => [rules.id, routeTo(rules, { type, payload })] as const);
    return { type, fanOut: fanOutOf(this.stored, decisions) };
  }
}

function compile({ eventTypePath, destinations }: StoredRoutes): Rules {
  return {
    eventTypePath: eventTypePath === null ? null : parseDottedPath(eventTypePath, 'eventTypePath'),
    destinations: destinations.map(([id, enabled, types, filter]) => ({
      id,
      enabled,
      eventTypes: types === null ? null : parseEventTypes(JSON.parse(types) as string[]),
      filter: filter === null ? null : parseFilter(JSON.parse(filter)),
    })),
  };
}

function plainFanOut(stored: StoredRoutes): FanOut {
  return fanOutOf(
    stored,
    stored.destinations.map(([id, isEnabled]) => [id, { outcome: isEnabled ? 'ROUTED' : 'DISABLED' }]),
  );
}

function fanOutOf(
  { tokenHash, accountId, version }: StoredRoutes,
  decisions: readonly (readonly [id: string, decision: RouteDecision])[],
): FanOut {
  const destinationIds: string[] = [];
  const skipped: string[][] = [];
  for (const [id, decision] of decisions) {
    if (decision.outcome === 'ROUTED') {
      destinationIds.push(id);
    } else {
      skipped.push([id, decision.outcome, ...(decision.outcome === 'FILTERED' ? [decision.path] : [])]);
    }
  }
  return {
    tokenHash,
    accountId,
    version,
    destinationIds,
    skipped: skipped.length === 0 ? null : JSON.stringify(skipped),
  };
}
