import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { isId } from '../core/ids.ts';
import { isParked } from '../storage/delivery-order.ts';
import type { AttemptRow, DeliveryRow } from '../storage/read-models/deliveries.ts';
import type { GraphQLContext } from './context.ts';
import { Attempt, Delivery, Destination, Event } from './object-types.ts';
import { DateTime } from './scalars.ts';
import { requireRow } from './errors.ts';

@Resolver(() => Delivery)
export class DeliveryResolver {
  @Query(() => Delivery, { nullable: true, description: 'One delivery, or null when there is none with this id.' })
  async delivery(
    @Arg('id', () => ID, { description: "The delivery's id." }) id: string,
    @Ctx() { deliveries }: GraphQLContext,
  ) {
    return isId(id) ? ((await deliveries.delivery(id)) ?? null) : null;
  }

  @Mutation(() => Delivery, {
    description: 'Sends a finished delivery again at once, with a new retry cycle. Its attempts stay recorded.',
  })
  retryDelivery(
    @Arg('id', () => ID, { description: "The delivery's id." }) id: string,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.deliveries.retry(id);
  }

  @FieldResolver(() => Event, { description: 'The event that is delivered.' })
  async event(@Root() delivery: DeliveryRow, @Ctx() { events }: GraphQLContext) {
    return requireRow(await events.event(delivery.event.id), 'event');
  }

  @FieldResolver(() => Destination, { description: 'The destination of the delivery.' })
  async destination(@Root() delivery: DeliveryRow, @Ctx() { accounts }: GraphQLContext) {
    return requireRow(await accounts.destination(delivery.destination.id), 'destination');
  }

  @FieldResolver(() => DateTime, {
    nullable: true,
    description:
      'The time of the next attempt. While an attempt is under way, the time at which another worker takes over if this one has died. Null when the delivery is finished, or waits for an earlier one in its order.',
  })
  nextAttemptAt(@Root() delivery: DeliveryRow) {
    return delivery.dueAt !== null && isParked(delivery.dueAt) ? null : delivery.dueAt;
  }

  @FieldResolver(() => [Attempt], {
    description: 'The finished attempts, in order. An attempt under way is not included.',
  })
  attempts(@Root() { id }: DeliveryRow, @Ctx() { deliveries }: GraphQLContext) {
    return deliveries.attemptsOf(id);
  }
}

@Resolver(() => Attempt)
export class AttemptResolver {
  @FieldResolver(() => String, { nullable: true, description: 'The first 8 KiB of the response, decoded as UTF-8.' })
  async responseBody(@Root() attempt: AttemptRow, @Ctx() { deliveries }: GraphQLContext) {
    return (await deliveries.responseBodyOf(attempt))?.toString('utf8') ?? null;
  }
}
