import { parseDottedPath } from './dotted-path.ts';
import { DomainError } from './errors.ts';
import type { Rate } from './token-bucket.ts';

const DAY_MS = 86_400_000;
export const TIMEOUT_MS = { min: 100, max: 120_000 } as const;
export const WAITS_MAX = 20;
export const WAIT_MS_MAX = 7 * DAY_MS;
export const CONCURRENCY_MAX = 256;
export const RATE_COUNT_MAX = 10_000;
export const RATE_PER_MS = { min: 1_000, max: DAY_MS } as const;
export const STOP_ON_MAX = 50;
const STATUS = { min: 300, max: 599 } as const;

/** Keeps all deliveries of a destination in one order. Their payloads do not matter. */
export const ORDER_BY_EVERYTHING = '*';

/** How a destination wants its deliveries. Null stands for the server's default. Durations are in milliseconds. */
export interface DeliveryPolicy {
  /** Of one request, connecting included. */
  readonly timeoutMs: number | null;
  /** The wait before each retry; an empty list means no retries. */
  readonly retrySchedule: readonly number[] | null;
  /** Requests under way at the same time, in each worker process. */
  readonly maxConcurrency: number | null;
  /** Attempts, over all workers together; null for no limit. */
  readonly rateLimit: Rate | null;
  /** Statuses that end a delivery at once, besides 410; null for none. */
  readonly stopOn: readonly number[] | null;
  /** Deliveries with an equal value at this dotted path go one at a time, in their order; `*` for all of them. */
  readonly orderBy: string | null;
}

/** A field that is absent stays as it is. */
export type PolicyPatch = Partial<DeliveryPolicy>;

/** This share of a rate, or one, may come at once. */
export const RATE_BURST_SHARE = 0.1;

export function burstOf({ count }: Rate): number {
  return Math.max(Math.floor(count * RATE_BURST_SHARE), 1);
}

/** The server's defaults, for what a destination leaves open. */
export interface PolicyDefaults {
  readonly timeoutMs: number;
  readonly retrySchedule: readonly number[];
  readonly maxConcurrency: number;
}

/** What holds for deliveries to a destination. */
export interface EffectivePolicy extends PolicyDefaults {
  readonly rateLimit: Rate | null;
  readonly stopOn: readonly number[];
}

export function withDefaults(policy: Omit<DeliveryPolicy, 'orderBy'>, defaults: PolicyDefaults): EffectivePolicy {
  return {
    timeoutMs: policy.timeoutMs ?? defaults.timeoutMs,
    retrySchedule: policy.retrySchedule ?? defaults.retrySchedule,
    maxConcurrency: policy.maxConcurrency ?? defaults.maxConcurrency,
    rateLimit: policy.rateLimit,
    stopOn: policy.stopOn ?? [],
  };
}

/** @throws DomainError BAD_USER_INPUT, which names the field */
export function parsePolicy(patch: PolicyPatch): PolicyPatch {
  requireTimeout(patch.timeoutMs);
  requireSchedule(patch.retrySchedule);
  requireConcurrency(patch.maxConcurrency);
  requireRate(patch.rateLimit);
  requireStatuses(patch.stopOn);
  if (typeof patch.orderBy === 'string' && patch.orderBy !== ORDER_BY_EVERYTHING) {
    parseDottedPath(patch.orderBy, 'policy.orderBy');
  }
  return patch;
}

function requireTimeout(ms: number | null | undefined): void {
  if (isSet(ms) && !isWithin(ms, TIMEOUT_MS)) {
    throw DomainError.badInput('policy.timeout', 'The timeout is from PT0.1S to PT2M.');
  }
}

function requireSchedule(waits: readonly number[] | null | undefined): void {
  if (isSet(waits) && (waits.length > WAITS_MAX || waits.some((ms) => ms < 0 || ms > WAIT_MS_MAX))) {
    throw DomainError.badInput(
      'policy.retrySchedule',
      `A retry schedule has 0 to ${WAITS_MAX} waits of up to P7D each.`,
    );
  }
}

function requireConcurrency(count: number | null | undefined): void {
  if (isSet(count) && !isWithin(count, { min: 1, max: CONCURRENCY_MAX })) {
    throw DomainError.badInput('policy.maxConcurrency', `The concurrency is from 1 to ${CONCURRENCY_MAX}.`);
  }
}

function requireRate(rate: Rate | null | undefined): void {
  if (isSet(rate) && !(isWithin(rate.count, { min: 1, max: RATE_COUNT_MAX }) && isWithin(rate.perMs, RATE_PER_MS))) {
    throw DomainError.badInput(
      'policy.rateLimit',
      `A rate limit allows 1 to ${RATE_COUNT_MAX} attempts per PT1S to P1D.`,
    );
  }
}

function requireStatuses(statuses: readonly number[] | null | undefined): void {
  if (isSet(statuses) && (statuses.length > STOP_ON_MAX || !statuses.every((status) => isWithin(status, STATUS)))) {
    throw DomainError.badInput(
      'policy.stopOn',
      `The statuses that end a delivery are at most ${STOP_ON_MAX}, each from ${STATUS.min} to ${STATUS.max}.`,
    );
  }
}

function isSet<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}

function isWithin(value: number, { min, max }: { readonly min: number; readonly max: number }): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
