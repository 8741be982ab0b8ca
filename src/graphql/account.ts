import { GraphQLEmailAddress } from 'graphql-scalars';
import { Arg, Ctx, Field, FieldResolver, ID, InputType, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { isId } from '../core/ids.ts';
import type { AccountEntity } from '../storage/entities.ts';
import { parsePage, toConnection } from './connection.ts';
import type { GraphQLContext } from './context.ts';
import { Account, AccountConnection, Destination, EventConnection } from './object-types.ts';
import { toPatch } from './patch.ts';

const EVENT_TYPE_PATH_DESCRIPTION =
  "A dotted path, such as data.kind, to the type in each event's payload. It counts for events without the header X-Event-Type.";

@InputType({ description: 'A new account. The server makes its id and its token.' })
class CreateAccountInput {
  @Field(() => GraphQLEmailAddress, { description: 'Unique without regard to letter case.' })
  email!: string;

  @Field(() => String, { description: 'Not blank, at most 200 characters; surrounding white space is removed.' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'An http or https URL, or a host name such as hello.com.' })
  website?: string | null;

  @Field(() => String, { nullable: true, description: EVENT_TYPE_PATH_DESCRIPTION })
  eventTypePath?: string | null;
}

@InputType({ description: 'Changes to an account. Fields that are left out stay unchanged.' })
class UpdateAccountInput {
  @Field(() => GraphQLEmailAddress, { nullable: true, description: 'Unique without regard to letter case.' })
  email?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Not blank, at most 200 characters; surrounding white space is removed.',
  })
  name?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'An http or https URL, or a host name such as hello.com; null removes it.',
  })
  website?: string | null;

  @Field(() => String, { nullable: true, description: `${EVENT_TYPE_PATH_DESCRIPTION} Null removes it.` })
  eventTypePath?: string | null;
}

@Resolver(() => Account)
export class AccountResolver {
  @Query(() => Account, { nullable: true, description: 'One account, or null when there is none with this id.' })
  async account(
    @Arg('id', () => ID, { description: "The account's id." }) id: string,
    @Ctx() { accounts }: GraphQLContext,
  ) {
    return isId(id) ? ((await accounts.account(id)) ?? null) : null;
  }

  @Query(() => AccountConnection, { description: 'All accounts, in the order they were created.' })
  async accounts(
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'The size of the page, at most 100.' })
    first: number | null,
    @Arg('after', () => String, { nullable: true, description: 'The page begins after this cursor.' })
    after: string | null | undefined,
    @Ctx() { accounts }: GraphQLContext,
  ) {
    return toConnection(await accounts.accounts(parsePage(first, after)), () => accounts.accountCount());
  }

  @Mutation(() => Account, { description: 'Creates an account. The server makes its id and its token.' })
  createAccount(
    @Arg('input', () => CreateAccountInput, { description: 'The new account.' }) input: CreateAccountInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.accounts.create(input);
  }

  @Mutation(() => Account, {
    description: 'Changes an account. Fields that the input leaves out, and the token, stay unchanged.',
  })
  updateAccount(
    @Arg('id', () => ID, { description: "The account's id." }) id: string,
    @Arg('input', () => UpdateAccountInput, { description: 'The changes.' }) input: UpdateAccountInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.accounts.update(id, toPatch(input, ['website', 'eventTypePath']));
  }

  @Mutation(() => ID, {
    description: 'Deletes an account with all its destinations, events, deliveries and attempts. Returns its id.',
  })
  deleteAccount(
    @Arg('id', () => ID, { description: "The account's id." }) id: string,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.accounts.delete(id);
  }

  @Mutation(() => Account, { description: 'Gives an account a new token. The old one stops working at once.' })
  rotateAppSecretToken(
    @Arg('accountId', () => ID, { description: "The account's id." }) accountId: string,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.accounts.rotateToken(accountId);
  }

  @FieldResolver(() => String, {
    description: 'The secret to send as the header CL-X-TOKEN with every event. Made by the server.',
  })
  appSecretToken(@Root() { sealedToken, id }: AccountEntity, @Ctx() { vault }: GraphQLContext) {
    return vault.open(sealedToken, id);
  }

  @FieldResolver(() => [Destination], {
    description: 'The destinations of the account, in the order they were created.',
  })
  destinations(@Root() account: AccountEntity, @Ctx() { accounts }: GraphQLContext) {
    return accounts.destinationsOf(account.id);
  }

  @FieldResolver(() => EventConnection, { description: 'The events received for the account, newest first.' })
  async events(
    @Root() account: AccountEntity,
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'The size of the page, at most 100.' })
    first: number | null,
    @Arg('after', () => String, { nullable: true, description: 'The page begins after this cursor.' })
    after: string | null | undefined,
    @Ctx() { events }: GraphQLContext,
  ) {
    const page = await events.eventsOf(account.id, parsePage(first, after));
    return toConnection(page, () => events.eventCountOf(account.id));
  }
}
