import { type EventTypes, takesType } from './event-type.ts';
import { evaluate, type Filter, matchesEverything } from './filter.ts';

export const ROUTE_OUTCOMES = ['ROUTED', 'TYPE_MISMATCH', 'FILTERED', 'DISABLED'] as const;
export type RouteOutcome = (typeof ROUTE_OUTCOMES)[number];

/** Whether an event goes to a destination. `path` says which condition of the filter failed. */
export type RouteDecision =
  | { readonly outcome: Exclude<RouteOutcome, 'FILTERED'> }
  | { readonly outcome: 'FILTERED'; readonly path: string };

/** What a destination wants. */
export interface RoutingRules {
  readonly enabled: boolean;
  readonly eventTypes: EventTypes | null;
  readonly filter: Filter | null;
}

export interface TypedEvent {
  readonly type: string | null;
  readonly payload: LazyPayload;
}

/** A payload that is parsed when somebody looks into it, and at most once. */
export class LazyPayload {
  readonly #text: () => string;
  #value: unknown;

  /** @param text of one valid JSON object; it is asked for at most once. */
  constructor(text: () => string) {
    this.#text = text;
  }

  get value(): unknown {
    this.#value ??= JSON.parse(this.#text());
    return this.#value;
  }
}

const ROUTED: RouteDecision = { outcome: 'ROUTED' };
const TYPE_MISMATCH: RouteDecision = { outcome: 'TYPE_MISMATCH' };
const DISABLED: RouteDecision = { outcome: 'DISABLED' };

/** The payload is looked at last, and only if the filter asks something of it. */
export function routeTo({ enabled, eventTypes, filter }: RoutingRules, { type, payload }: TypedEvent): RouteDecision {
  if (!enabled) {
    return DISABLED;
  }
  if (!takesType(eventTypes, type)) {
    return TYPE_MISMATCH;
  }
  if (filter === null || matchesEverything(filter)) {
    return ROUTED;
  }
  const result = evaluate(filter, payload.value);
  return result.matches ? ROUTED : { outcome: 'FILTERED', path: result.path };
}

/** One decision for each destination, in their order. */
export function routeToEach(destinations: readonly RoutingRules[], event: TypedEvent): RouteDecision[] {
  return destinations.map((rules) => routeTo(rules, event));
}
