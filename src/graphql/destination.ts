import { GraphQLJSONObject } from 'graphql-scalars';
import { Arg, Ctx, Field, FieldResolver, ID, InputType, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { type HeaderEntry, type HttpMethod as Method, OVERLAP_DEFAULT_MS } from '../core/inputs.ts';
import {
  Account,
  DeliveryConnection,
  DeliveryPolicy,
  DeliveryStatus,
  Destination,
  HttpMethod,
} from './object-types.ts';
import type { DeliveryStatus as Status } from '../core/delivery.ts';
import { isId } from '../core/ids.ts';
import type { DestinationEntity } from '../storage/entities.ts';
import { policyOf } from '../storage/policy-columns.ts';
import { parsePage, toConnection } from './connection.ts';
import type { GraphQLContext } from './context.ts';
import { DeliveryPolicyInput, policyPatch, shownPolicy } from './delivery-policy.ts';
import { toPatch } from './patch.ts';
import { Duration } from './scalars.ts';
import { requireRow } from './errors.ts';

const HEADERS_DESCRIPTION =
  'At least one header. A value is a string, or a list of strings to send as repeated headers. Names keep their letter case.';

const NAME_DESCRIPTION = 'Not blank, at most 100 characters; surrounding white space is removed.';
const DESCRIPTION_DESCRIPTION = 'Not blank, at most 1,000 characters; surrounding white space is removed.';
const EVENT_TYPES_DESCRIPTION =
  'The event types that it takes, 1 to 50. Each is exact, or ends in .* and takes all types below: order.* takes order.paid. Null takes all events, also those without a type, but no reserved types.';
const TRANSFORM_DESCRIPTION =
  'A JSONata expression, at most 8 KiB, that makes the body from the payload. Its result must be a JSON object of at most 1 MiB, within 50 ms of processor time; otherwise the delivery fails at once with TRANSFORM_FAILED. Null sends the payload as it is.';
const FILTER_DESCRIPTION =
  'Conditions on the payload, at most 8 KiB. Paths lead to values or to operators: $eq, $ne, $in, $nin, $gt, $gte, $lt, $lte, $exists, $startsWith, $endsWith, $contains, $not, $and, $or, $nor. Null and {} take everything.';
const POLICY_DESCRIPTION = "How deliveries are made. Null for a field, or for all, is the server's default.";

@InputType({ description: 'A new destination of an account.' })
class CreateDestinationInput {
  @Field(() => ID, { description: 'The account whose events the destination gets.' })
  accountId!: string;

  @Field(() => String, { description: 'An absolute http or https URL without user name and password.' })
  url!: string;

  @Field(() => HttpMethod, { description: 'The method of the requests.' })
  httpMethod!: Method;

  @Field(() => GraphQLJSONObject, { description: HEADERS_DESCRIPTION })
  headers!: Record<string, unknown>;

  @Field(() => String, { nullable: true, description: NAME_DESCRIPTION })
  name?: string | null;

  @Field(() => String, { nullable: true, description: DESCRIPTION_DESCRIPTION })
  description?: string | null;

  @Field(() => [String], { nullable: true, description: EVENT_TYPES_DESCRIPTION })
  eventTypes?: string[] | null;

  @Field(() => GraphQLJSONObject, { nullable: true, description: FILTER_DESCRIPTION })
  filter?: Record<string, unknown> | null;

  @Field(() => DeliveryPolicyInput, { nullable: true, description: POLICY_DESCRIPTION })
  policy?: DeliveryPolicyInput | null;

  @Field(() => String, { nullable: true, description: TRANSFORM_DESCRIPTION })
  transform?: string | null;
}

@InputType({ description: 'Changes to a destination. Fields that are left out stay unchanged.' })
class UpdateDestinationInput {
  @Field(() => String, { nullable: true, description: 'An absolute http or https URL without user name and password.' })
  url?: string | null;

  @Field(() => HttpMethod, { nullable: true, description: 'The method of the requests.' })
  httpMethod?: Method | null;

  @Field(() => GraphQLJSONObject, { nullable: true, description: `Replaces all headers. ${HEADERS_DESCRIPTION}` })
  headers?: Record<string, unknown> | null;

  @Field(() => String, { nullable: true, description: `${NAME_DESCRIPTION} Null removes it.` })
  name?: string | null;

  @Field(() => String, { nullable: true, description: `${DESCRIPTION_DESCRIPTION} Null removes it.` })
  description?: string | null;

  @Field(() => [String], { nullable: true, description: EVENT_TYPES_DESCRIPTION })
  eventTypes?: string[] | null;

  @Field(() => GraphQLJSONObject, { nullable: true, description: FILTER_DESCRIPTION })
  filter?: Record<string, unknown> | null;

  @Field(() => DeliveryPolicyInput, {
    nullable: true,
    description: `${POLICY_DESCRIPTION} Fields that are left out stay as they are.`,
  })
  policy?: DeliveryPolicyInput | null;

  @Field(() => String, { nullable: true, description: TRANSFORM_DESCRIPTION })
  transform?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      'False disables the destination: new events create no deliveries for it, and pending ones wait. True enables it again, and pending deliveries continue.',
  })
  enabled?: boolean | null;
}

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

  @Query(() => [Destination], { description: 'The destinations of an account; an empty list for an unknown account.' })
  async destinations(
    @Arg('accountId', () => ID, { description: "The account's id." }) accountId: string,
    @Ctx() { accounts }: GraphQLContext,
  ) {
    return isId(accountId) ? accounts.destinationsOf(accountId) : [];
  }

  @Mutation(() => Destination, {
    description:
      'Creates a destination of an account. It gets the events that arrive from now on and that it asks for.',
  })
  createDestination(
    @Arg('input', () => CreateDestinationInput, { description: 'The new destination.' })
    { policy, ...fields }: CreateDestinationInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.create({ ...fields, policy: policyPatch(policy) });
  }

  @Mutation(() => Destination, {
    description:
      'Changes a destination. Attempts that begin later use the new settings, and events that arrive later are routed by them.',
  })
  updateDestination(
    @Arg('id', () => ID, { description: "The destination's id." }) id: string,
    @Arg('input', () => UpdateDestinationInput, { description: 'The changes.' })
    { policy, ...fields }: UpdateDestinationInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.update(id, {
      ...toPatch(fields, ['name', 'description', 'eventTypes', 'filter', 'transform']),
      policy: policyPatch(policy),
    });
  }

  @Mutation(() => ID, { description: 'Deletes a destination with its deliveries and attempts. Returns its id.' })
  deleteDestination(
    @Arg('id', () => ID, { description: "The destination's id." }) id: string,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.delete(id);
  }

  @Mutation(() => Destination, {
    description:
      'Gives a destination a new signing secret. Until the overlap ends, deliveries are also signed with the previous one. Older ones stop at once.',
  })
  rotateSigningSecret(
    @Arg('destinationId', () => ID, { description: "The destination's id." }) destinationId: string,
    @Arg('overlap', () => Duration, {
      nullable: true,
      defaultValue: OVERLAP_DEFAULT_MS,
      description: 'How long both secrets are used, from PT0S to P30D.',
    })
    overlap: number | null,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.destinations.rotateSigningSecret(destinationId, overlap ?? OVERLAP_DEFAULT_MS);
  }

  @FieldResolver(() => Account, { description: 'The account whose events the destination gets.' })
  async account(@Root() destination: DestinationEntity, @Ctx() { accounts }: GraphQLContext) {
    return requireRow(await accounts.account(destination.account.id), 'account');
  }

  @FieldResolver(() => GraphQLJSONObject, {
    description: 'The headers of the requests. Names keep their letter case and order.',
  })
  headers(@Root() { sealedHeaders, account }: DestinationEntity, @Ctx() { vault }: GraphQLContext) {
    return Object.fromEntries(JSON.parse(vault.open(sealedHeaders, account.id)) as HeaderEntry[]);
  }

  @FieldResolver(() => [String], {
    nullable: true,
    description:
      'The event types that it takes; .* at the end of one stands for all types below. Null takes all events, also those without a type, but no reserved types.',
  })
  eventTypes(@Root() { eventTypes }: DestinationEntity) {
    return parsed(eventTypes);
  }

  @FieldResolver(() => GraphQLJSONObject, {
    nullable: true,
    description: 'Conditions on the payload, as they were given. Null and {} take everything.',
  })
  filter(@Root() { filter }: DestinationEntity) {
    return parsed(filter);
  }

  @FieldResolver(() => DeliveryPolicy, { description: 'How deliveries to it are made.' })
  policy(@Root() destination: DestinationEntity, @Ctx() { policyDefaults }: GraphQLContext) {
    return shownPolicy(policyOf(destination), policyDefaults);
  }

  @FieldResolver(() => String, {
    description:
      'The secret that signs deliveries, as in the Standard Webhooks specification: whsec_ and 24 bytes in base64. Made by the server.',
  })
  signingSecret(@Root() { sealedSigningSecret, account }: DestinationEntity, @Ctx() { vault }: GraphQLContext) {
    return vault.open(sealedSigningSecret, account.id);
  }

  @FieldResolver(() => DeliveryConnection, { description: 'The deliveries to this destination, newest first.' })
  async deliveries(
    @Root() { id }: DestinationEntity,
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'The size of the page, at most 100.' })
    first: number | null,
    @Arg('after', () => String, { nullable: true, description: 'The page begins after this cursor.' })
    after: string | null | undefined,
    @Arg('status', () => DeliveryStatus, { nullable: true, description: 'Only deliveries with this status.' })
    status: Status | null | undefined,
    @Ctx() { deliveries }: GraphQLContext,
  ) {
    const filter = status ?? undefined;
    const page = await deliveries.deliveriesOf(id, parsePage(first, after), filter);
    return toConnection(page, () => deliveries.deliveryCountOf(id, filter));
  }
}

/** A new entity lacks the columns that nobody has set. */
function parsed(json: string | null | undefined): unknown {
  return typeof json === 'string' ? JSON.parse(json) : null;
}
