import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { isId } from '../../core/ids.ts';
import type { AccountEntity } from '../../storage/entities/index.ts';
import { parsePage, toConnection } from '../connection.ts';
import type { GraphQLContext } from '../context.ts';
import { Destination } from '../destination/destination.type.ts';
import { EventConnection } from '../event/event.type.ts';
import { toPatch } from '../patch.ts';
import { CreateAccountInput, UpdateAccountInput } from './account.input.ts';
import { Account, AccountConnection } from './account.type.ts';

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
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'How many, at most 100.' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'The cursor behind which the page begins.' })
    after: string | null | undefined,
    @Ctx() { accounts }: GraphQLContext,
  ) {
    return toConnection(await accounts.accounts(parsePage(first, after)), () => accounts.accountCount());
  }

  @Mutation(() => Account, { description: 'Creates an account. Its id and its token are made by the server.' })
  createAccount(
    @Arg('input', () => CreateAccountInput, { description: 'The new account.' }) input: CreateAccountInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.accounts.create({ email: input.email, name: input.name, website: input.website });
  }

  @Mutation(() => Account, {
    description: 'Changes an account. What the input leaves out, and the token, stay as they are.',
  })
  updateAccount(
    @Arg('id', () => ID, { description: "The account's id." }) id: string,
    @Arg('input', () => UpdateAccountInput, { description: 'The changes.' }) input: UpdateAccountInput,
    @Ctx() { commands }: GraphQLContext,
  ) {
    return commands.accounts.update(id, toPatch(input, ['website']));
  }

  @Mutation(() => ID, {
    description: 'Deletes an account with all its destinations, events, deliveries and attempts. Answers its id.',
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
    description: 'The secret that goes into the header CL-X-TOKEN of every event. Made by the server.',
  })
  appSecretToken(@Root() { sealedToken, id }: AccountEntity, @Ctx() { vault }: GraphQLContext) {
    return vault.open(sealedToken, id);
  }

  @FieldResolver(() => [Destination], {
    description: 'Where the events of the account go, in the order they were created.',
  })
  destinations(@Root() account: AccountEntity, @Ctx() { accounts }: GraphQLContext) {
    return accounts.destinationsOf(account.id);
  }

  @FieldResolver(() => EventConnection, { description: 'The events received for the account, newest first.' })
  async events(
    @Root() account: AccountEntity,
    @Arg('first', () => Int, { nullable: true, defaultValue: 20, description: 'How many, at most 100.' }) first:
      | number
      | null,
    @Arg('after', () => String, { nullable: true, description: 'The cursor behind which the page begins.' })
    after: string | null | undefined,
    @Ctx() { events }: GraphQLContext,
  ) {
    const page = await events.eventsOf(account.id, parsePage(first, after));
    return toConnection(page, () => events.eventCountOf(account.id));
  }
}
