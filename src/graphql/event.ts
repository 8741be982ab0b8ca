import { GraphQLJSON } from 'graphql-scalars';
import { Arg, Ctx, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { isId } from '../core/ids.ts';
import type { EventEntity } from '../storage/entities.ts';
import type { RouteRow } from '../storage/read-models/routes.ts';
import { Account, Delivery, Destination, Event, Route } from './object-types.ts';
import type { GraphQLContext } from './context.ts';
import { JsonText } from './answer.ts';
import { requireRow } from './errors.ts';

@Resolver(() => Event)
export class EventResolver {
  @Query(() => Event, { nullable: true, description: 'One event, or null when there is none with this id.' })
  async event(@Arg('id', () => ID, { description: "The event's id." }) id: string, @Ctx() { events }: GraphQLContext) {
    return isId(id) ? ((await events.event(id)) ?? null) : null;
  }

  @FieldResolver(() => Account, { description: 'The account that the event was received for.' })
  async account(@Root() event: EventEntity, @Ctx() { accounts }: GraphQLContext) {
    return requireRow(await accounts.account(event.account.id), 'account');
  }

  @FieldResolver(() => GraphQLJSON, {
    description: 'The payload as JSON, spelled as it was received. `payloadText` is the same as text.',
  })
  async payload(@Root() { id }: EventEntity, @Ctx() { events }: GraphQLContext) {
    return new JsonText(requireRow(await events.payload(id), 'event').toString('utf8'));
  }

  @FieldResolver(() => String, { description: 'The payload exactly as it was received, which is also how it is sent.' })
  async payloadText(@Root() { id }: EventEntity, @Ctx() { events }: GraphQLContext) {
    return requireRow(await events.payload(id), 'event').toString('utf8');
  }

  @FieldResolver(() => [Delivery], {
    description: 'One delivery for each destination that the event was routed to.',
  })
  deliveries(@Root() { id }: EventEntity, @Ctx() { deliveries }: GraphQLContext) {
    return deliveries.deliveriesOfEvent(id);
  }

  @FieldResolver(() => [Route], {
    description:
      'How the event was routed to each destination that the account had when it arrived, deleted ones included.',
  })
  routes(@Root() { id }: EventEntity, @Ctx() { routes }: GraphQLContext) {
    return routes.routesOf(id);
  }
}

@Resolver(() => Route)
export class RouteResolver {
  @FieldResolver(() => Destination, { nullable: true, description: 'The destination; null once it is deleted.' })
  async destination(@Root() { destinationId }: RouteRow, @Ctx() { accounts }: GraphQLContext) {
    return (await accounts.destination(destinationId)) ?? null;
  }

  @FieldResolver(() => Delivery, {
    nullable: true,
    description: 'The delivery; null unless the outcome is ROUTED, and null once the destination is deleted.',
  })
  delivery(@Root() { delivery }: RouteRow) {
    return delivery;
  }
}
