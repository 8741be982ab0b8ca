import { Field, InputType, Int } from 'type-graphql';
import { type DeliveryPolicy, type PolicyDefaults, type PolicyPatch, withDefaults } from '../core/delivery-policy.ts';
import type { DeliveryPolicy as ShownPolicy } from './object-types.ts';
import { Duration } from './scalars.ts';

@InputType({ description: 'At most so many attempts, by all workers together, spread evenly over the time.' })
class RateLimitInput {
  @Field(() => Int, { description: 'How many attempts, from 1 to 10,000. Retries count too.' })
  count!: number;

  @Field(() => Duration, { description: 'In how long, from PT1S to P1D.' })
  per!: number;
}

@InputType({ description: "How a destination gets its deliveries. Null for a field is the server's default." })
export class DeliveryPolicyInput {
  @Field(() => Duration, {
    nullable: true,
    description: 'How long one request may take, connecting included: from PT0.1S to PT2M.',
  })
  timeout?: number | null;

  @Field(() => [Duration], {
    nullable: true,
    description: 'The wait before each retry: 0 to 20 waits of up to P7D each. An empty list means no retries.',
  })
  retrySchedule?: number[] | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'How many requests may be under way at the same time, in each worker process: 1 to 256, but never more than MAX_CONCURRENCY.',
  })
  maxConcurrency?: number | null;

  @Field(() => RateLimitInput, { nullable: true, description: 'Null for no limit.' })
  rateLimit?: RateLimitInput | null;

  @Field(() => [Int], {
    nullable: true,
    description: 'Up to 50 status codes from 300 to 599 that end a delivery at once, besides 410, which always does.',
  })
  stopOn?: number[] | null;

  @Field(() => String, {
    nullable: true,
    description:
      'A dotted path in the payload, such as customer.id: deliveries with an equal value there go one at a time, in the order in which their events were stored. "*" for all of them; null for no order.',
  })
  orderBy?: string | null;
}

const ALL_DEFAULTS: PolicyPatch = {
  timeoutMs: null,
  retrySchedule: null,
  maxConcurrency: null,
  rateLimit: null,
  stopOn: null,
  orderBy: null,
};

/** Null instead of a policy clears all of it. */
export function policyPatch(input: DeliveryPolicyInput | null | undefined): PolicyPatch | undefined {
  if (input === null || input === undefined) {
    return input === null ? ALL_DEFAULTS : undefined;
  }
  const { timeout, retrySchedule, maxConcurrency, rateLimit, stopOn, orderBy } = input;
  return {
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(retrySchedule !== undefined && { retrySchedule }),
    ...(maxConcurrency !== undefined && { maxConcurrency }),
    ...(rateLimit !== undefined && { rateLimit: rateLimit && { count: rateLimit.count, perMs: rateLimit.per } }),
    ...(stopOn !== undefined && { stopOn }),
    ...(orderBy !== undefined && { orderBy }),
  };
}

export function shownPolicy(policy: DeliveryPolicy, defaults: PolicyDefaults): ShownPolicy {
  const { timeoutMs, rateLimit, ...rest } = withDefaults(policy, defaults);
  const { orderBy } = policy;
  return {
    ...rest,
    orderBy,
    timeout: timeoutMs,
    rateLimit: rateLimit && { count: rateLimit.count, per: rateLimit.perMs },
  };
}
