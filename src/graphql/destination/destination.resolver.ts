import { GraphQLJSONObject } from 'graphql-scalars';
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { DeliveryStatus as Status } from '../../core/delivery.ts';
import type { HeaderEntry } from '../../core/destination-input.ts';
import { isId } from '../../core/ids.ts';
import { OVERLAP_DEFAULT_MS } from '../../core/overlap.ts';
import type { DestinationEntity } from '../../storage/entities/index.ts';
import { Account } from '../account/account.type.ts';
import { parsePage, toConnection } from '../connection.ts';
import type { GraphQLContext } from '../context.ts';
import { DeliveryConnection, DeliveryStatus } from '../delivery/delivery.type.ts';
import { toPatch } from '../patch.ts';
import { Duration } from '../scalars.ts';
import { stillThere } from '../still-there.ts';
import { CreateDestinationInput, UpdateDestinationInput } from './destination.input.ts';
import { Destination } from './destination.type.ts';

@Resolver(() => Destination)
export class DestinationResolver {
  @Query(() => Destination, {
    nullable: true,
    description: 'One destination, or null when there is none with this id.',
  })
  async destination(
    @Arg('id', () => ID, { description: "The destination's id." }) id: string,
    @Ctx() { accounts }: GraphQLContext,
  ) {
    return isId(id) ? ((await accounts.destination(id)) ?? null) : null;
  }

  @Query(() => [Destination], { description: 'The destinations of an account; none when there is no such account.' })
  async destinations(
    @Arg('accountId', () => ID, { description: "The account's id." }) accountId: string,
    @Ctx() { accounts }: GraphQLContext,
  ) {
    return isId(accountId) ? accounts.destinationsOf(accountId) : [];
  }

  @Mutation(() => Destination, {
    description: 'Gives an account a new destination. It gets the events that arrive from now on.',
  })
  createDestination(
    @Arg('input', () => CreateDestinationInput, { description: 'The new destination.' }) input: CreateDestinationInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.create(input);
  }

  @Mutation(() => Destination, {
    description: 'Changes a destination. Attempts that begin from now on use what it says then.',
  })
  updateDestination(
    @Arg('id', () => ID, { description: "The destination's id." }) id: string,
    @Arg('input', () => UpdateDestinationInput, { description: 'The changes.' }) input: UpdateDestinationInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.update(id, toPatch(input));
  }

  @Mutation(() => ID, { description: 'Deletes a destination with its deliveries and attempts. Answers its id.' })
  deleteDestination(
    @Arg('id', () => ID, { description: "The destination's id." }) id: string,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.delete(id);
  }

  @Mutation(() => Destination, {
    description:
      'Gives a destination a new signing secret. Until the overlap ends, deliveries are signed with the one before too; one before that stops at once.',
  })
  rotateSigningSecret(
    @Arg('destinationId', () => ID, { description: "The destination's id." }) destinationId: string,
    @Arg('overlap', () => Duration, {
      nullable: true,
      defaultValue: OVERLAP_DEFAULT_MS,
      description: 'How long both secrets sign, from PT0S to P30D.',
    })
    overlap: number | null,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.rotateSigningSecret(destinationId, overlap ?? OVERLAP_DEFAULT_MS);
  }

  @FieldResolver(() => Account, { description: 'The account whose events the destination gets.' })
  async account(@Root() destination: DestinationEntity, @Ctx() { accounts }: GraphQLContext) {
    return stillThere(await accounts.account(destination.account.id), 'account');
  }

  @FieldResolver(() => GraphQLJSONObject, {
    description: 'The headers of the requests; names keep their letter case and order.',
  })
  headers(@Root() { sealedHeaders, account }: DestinationEntity, @Ctx() { vault }: GraphQLContext) {
    return Object.fromEntries(JSON.parse(vault.open(sealedHeaders, account.id)) as HeaderEntry[]);
  }

  @FieldResolver(() => String, {
    description:
      'What deliveries are signed with, after the Standard Webhooks specification: whsec_ and 24 bytes in base64. Made by the server.',
  })
  signingSecret(@Root() { sealedSigningSecret, account }: DestinationEntity, @Ctx() { vault }: GraphQLContext) {
    return vault.open(sealedSigningSecret, account.id);
  }

  @FieldResolver(() => DeliveryConnection, { description: 'The deliveries to this destination, newest first.' })
  async deliveries(
    @Root() { id }: DestinationEntity,
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'How many, at most 100.' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'The cursor behind which the page begins.' })
    after: string | null | undefined,
    @Arg('status', () => DeliveryStatus, { nullable: true, description: 'Only deliveries that stand so.' })
    status: Status | null | undefined,
    @Ctx() { deliveries }: GraphQLContext,
  ) {
    const filter = status ?? undefined;
    const page = await deliveries.deliveriesOf(id, parsePage(first, after), filter);
    return toConnection(page, () => deliveries.deliveryCountOf(id, filter));
  }
}
