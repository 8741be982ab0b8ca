import 'reflect-metadata';
import type { GraphQLSchema } from 'graphql';
import { buildSchema, type NonEmptyArray } from 'type-graphql';
import { AccountResolver } from './account/account.resolver.ts';
import { AttemptResolver, DeliveryResolver } from './delivery/delivery.resolver.ts';
import { DestinationResolver } from './destination/destination.resolver.ts';
import { EventResolver } from './event/event.resolver.ts';
import { meterSchema } from './metered-schema.ts';

const RESOLVERS: NonEmptyArray<new () => object> = [
  AccountResolver,
  DestinationResolver,
  EventResolver,
  DeliveryResolver,
  AttemptResolver,
];

let schema: Promise<GraphQLSchema> | undefined;

/** Built once: type-graphql keeps its metadata for the whole process. Inputs are parsed by the commands, not by decorators. */
export function graphqlSchema(): Promise<GraphQLSchema> {
  schema ??= build();
  return schema;
}

async function build(): Promise<GraphQLSchema> {
  const built = await buildSchema({ resolvers: RESOLVERS, validate: false, emitSchemaFile: false });
  // type-graphql makes the two roots itself, and has no place for their descriptions.
  const [query, mutation] = [built.getQueryType(), built.getMutationType()];
  if (query && mutation) {
    query.description = 'What can be read. An id that is not known is null, or an empty list.';
    mutation.description = 'What can be changed. A mutation that is refused has changed nothing.';
  }
  meterSchema(built);
  return built;
}
