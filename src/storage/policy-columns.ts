import { LRUCache } from 'lru-cache';
import type { DeliveryPolicy, PolicyPatch } from '../core/delivery-policy.ts';
import type { DestinationEntity } from './entities.ts';

/** Where a policy is kept. A destination without one has nulls only. */
export type PolicyColumns = Pick<
  DestinationEntity,
  'timeoutMs' | 'retrySchedule' | 'maxConcurrency' | 'rateCount' | 'ratePerMs' | 'stopOn' | 'orderBy'
>;

/** The columns that a patch changes. */
export function policyColumns(patch: PolicyPatch): Partial<PolicyColumns> {
  const { timeoutMs, retrySchedule, maxConcurrency, rateLimit, stopOn, orderBy } = patch;
  return {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(retrySchedule !== undefined && { retrySchedule: textOf(retrySchedule) }),
    ...(maxConcurrency !== undefined && { maxConcurrency }),
    ...(rateLimit !== undefined && { rateCount: rateLimit?.count ?? null, ratePerMs: rateLimit?.perMs ?? null }),
    ...(stopOn !== undefined && { stopOn: textOf(stopOn) }),
    ...(orderBy !== undefined && { orderBy }),
  };
}

/** A new entity lacks the columns that nobody has set. */
export function policyOf(columns: Partial<PolicyColumns>): DeliveryPolicy {
  const { timeoutMs, retrySchedule, maxConcurrency, rateCount, ratePerMs, stopOn, orderBy } = columns;
  return {
    timeoutMs: timeoutMs ?? null,
    retrySchedule: listOf(retrySchedule),
    maxConcurrency: maxConcurrency ?? null,
    rateLimit: isSet(rateCount) && isSet(ratePerMs) ? { count: rateCount, perMs: ratePerMs } : null,
    stopOn: listOf(stopOn),
    orderBy: orderBy ?? null,
  };
}

function isSet(value: number | null | undefined): value is number {
  return typeof value === 'number';
}

function textOf(list: readonly number[] | null): string | null {
  return list === null ? null : JSON.stringify(list);
}

function listOf(text: string | null | undefined): number[] | null {
  return typeof text === 'string' ? (JSON.parse(text) as number[]) : null;
}

/** A `DeliveryPolicy` as claims read it: one column for all, which is null where nothing is set. */
type PolicyText = readonly [
  timeoutMs: number | null,
  retrySchedule: string | null,
  maxConcurrency: number | null,
  rateCount: number | null,
  ratePerMs: number | null,
  stopOn: string | null,
];

/** Who makes a delivery need not know its place in an order. */
export type ClaimedPolicy = Omit<DeliveryPolicy, 'orderBy'>;

const NO_POLICY: ClaimedPolicy = policyOf({});
const POLICIES_MAX = 1_000;

/** Equal texts give the same object. */
export class ClaimedPolicies {
  readonly #parsed = new LRUCache<string, ClaimedPolicy>({ max: POLICIES_MAX });

  of(text: string | null): ClaimedPolicy {
    if (text === null) {
      return NO_POLICY;
    }
    const known = this.#parsed.get(text) ?? parsePolicyText(text);
    this.#parsed.set(text, known);
    return known;
  }
}

function parsePolicyText(text: string): ClaimedPolicy {
  const [timeoutMs, retrySchedule, maxConcurrency, rateCount, ratePerMs, stopOn] = JSON.parse(text) as PolicyText;
  return policyOf({ timeoutMs, retrySchedule, maxConcurrency, rateCount, ratePerMs, stopOn });
}
