import { ORDER_BY_EVERYTHING } from './delivery-policy.ts';
import { type DottedPath, parseDottedPath } from './dotted-path.ts';
import { eventTypeIn, parseEventTypes } from './event-type.ts';
import { parseFilter } from './filter-input.ts';
import { type DeliveryOrder, orderKeyIn, parseOrder } from './order-key.ts';
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
export type StoredDestination = readonly [
  id: string,
  isEnabled: boolean,
  eventTypes: string | null,
  filter: string | null,
  orderBy: string | null,
];

/** Where one event goes, by the routes of this version. */
export interface FanOut extends Pick<StoredRoutes, 'tokenHash' | 'accountId' | 'version'> {
  /** In the order in which the deliveries of the event are numbered. */
  readonly destinationIds: readonly string[];
  /** JSON: `[[destinationId, outcome, path?], ...]`; null if the event goes to all. */
  readonly skipped: string | null;
  /** For each of the destinations, the key of the order in which it gets the event; null if none has an order. */
  readonly orderKeys: readonly (string | null)[] | null;
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

/** As many bytes of rules take the time of finding, sorting and hashing the value that an order is by. */
const ORDER_RULE_BYTES = 64;

/** A compiled rule in memory takes many times the bytes of its text. */
const BYTES_PER_RULE_BYTE = 40;
const BYTES_PER_DESTINATION = 400;
const BYTES_PER_ACCOUNT = 1_000;

interface Rules {
  readonly eventTypePath: DottedPath | null;
  readonly destinations: readonly DestinationRules[];
}

interface DestinationRules extends RoutingRules {
  readonly id: string;
  readonly order: DeliveryOrder | null;
}

interface Decision {
  readonly id: string;
  readonly decision: RouteDecision;
  readonly orderKey: string | null;
}

/**
 * The routes of an account, ready to be used. Accounts whose routes do not depend on the event have one fan-out for all
 * their events: nothing is parsed or computed for an event, and a batch of them carries it once.
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
    this.#ruleBytes = destinations.reduce((sum, destination) => sum + ruleBytesOf(destination), 0);
    this.bytes =
      BYTES_PER_ACCOUNT + BYTES_PER_DESTINATION * destinations.length + BYTES_PER_RULE_BYTE * this.#ruleBytes;
    this.#looksIntoPayloads = destinations.some(([, , , filter, orderBy]) => filter !== null || isByValue(orderBy));
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
    const decisions = destinations.map((rules) => decide(rules, type, payload));
    return { type, fanOut: fanOutOf(this.stored, decisions) };
  }
}

function isByValue(orderBy: string | null): orderBy is string {
  return orderBy !== null && orderBy !== ORDER_BY_EVERYTHING;
}

function ruleBytesOf([, , types, filter, orderBy]: StoredDestination): number {
  const orderBytes = isByValue(orderBy) ? ORDER_RULE_BYTES + orderBy.length : 0;
  return (types?.length ?? 0) + (filter?.length ?? 0) + orderBytes;
}

function decide(rules: DestinationRules, type: string | null, payload: LazyPayload): Decision {
  const { id, order } = rules;
  const decision = routeTo(rules, { type, payload });
  const hasOrder = order !== null && decision.outcome === 'ROUTED';
  return { id, decision, orderKey: hasOrder ? orderKeyOf(order, payload) : null };
}

function orderKeyOf(order: DeliveryOrder, payload: LazyPayload): string | null {
  return order.kind === 'everything' ? order.key : orderKeyIn(payload.value, order);
}

function compile({ eventTypePath, destinations }: StoredRoutes): Rules {
  return {
    eventTypePath: eventTypePath === null ? null : parseDottedPath(eventTypePath, 'eventTypePath'),
    destinations: destinations.map(([id, enabled, types, filter, orderBy]) => ({
      id,
      enabled,
      eventTypes: types === null ? null : parseEventTypes(JSON.parse(types) as string[]),
      filter: filter === null ? null : parseFilter(JSON.parse(filter)),
      order: orderBy === null ? null : parseOrder(orderBy),
    })),
  };
}

/** No rule depends on the event. */
function plainFanOut(stored: StoredRoutes): FanOut {
  const nothing = new LazyPayload(() => '{}');
  return fanOutOf(
    stored,
    compile(stored).destinations.map((rules) => decide(rules, null, nothing)),
  );
}

function fanOutOf({ tokenHash, accountId, version }: StoredRoutes, decisions: readonly Decision[]): FanOut {
  const routed = decisions.filter(({ decision }) => decision.outcome === 'ROUTED');
  const skipped = decisions.filter(({ decision }) => decision.outcome !== 'ROUTED').map(skippedEntry);
  const orderKeys = routed.map(({ orderKey }) => orderKey);
  return {
    tokenHash,
    accountId,
    version,
    destinationIds: routed.map(({ id }) => id),
    skipped: skipped.length === 0 ? null : JSON.stringify(skipped),
    orderKeys: orderKeys.some((key) => key !== null) ? orderKeys : null,
  };
}

function skippedEntry({ id, decision }: Decision): string[] {
  return [id, decision.outcome, ...(decision.outcome === 'FILTERED' ? [decision.path] : [])];
}
