import 'reflect-metadata';
import {
  defaultFieldResolver,
  getNullableType,
  type GraphQLField,
  type GraphQLFieldResolver,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isLeafType,
  isListType,
  isObjectType,
  OperationTypeNode,
} from 'graphql';
import { buildSchema, type NonEmptyArray } from 'type-graphql';
import { AccountResolver } from './account.ts';
import { AttemptResolver, DeliveryResolver } from './delivery.ts';
import { DestinationResolver } from './destination.ts';
import { EventResolver } from './event.ts';
import type { GraphQLContext } from './context.ts';
import { JsonText } from './answer.ts';

const RESOLVERS: NonEmptyArray<new () => object> = [
  AccountResolver,
  DestinationResolver,
  EventResolver,
  DeliveryResolver,
  AttemptResolver,
];

let built: Promise<GraphQLSchema> | undefined;

/** Built once: type-graphql keeps its metadata for the whole process. Inputs are parsed by the commands, not by decorators. */
export function graphqlSchema(): Promise<GraphQLSchema> {
  built ??= build();
  return built;
}

async function build(): Promise<GraphQLSchema> {
  const schema = await buildSchema({ resolvers: RESOLVERS, validate: false, emitSchemaFile: false });
  // type-graphql makes the two roots itself, and has no place for their descriptions.
  const [query, mutation] = [schema.getQueryType(), schema.getMutationType()];
  if (query && mutation) {
    query.description = 'What can be read. An id that is not known is null, or an empty list.';
    mutation.description = 'What can be changed. A mutation that is refused has changed nothing.';
  }
  meterSchema(schema);
  return schema;
}

type Resolver = GraphQLFieldResolver<unknown, GraphQLContext>;

/**
 * Counts, in every field of every type, what is put into the answer, and has each object wait for its turn; so no
 * resolver has to remember it.
 */
export function meterSchema(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isObjectType(type) && !type.name.startsWith('__')) {
      for (const field of Object.values(type.getFields())) {
        const resolve = (field.resolve ?? defaultFieldResolver) as Resolver;
        field.resolve = metered(field, type === schema.getMutationType() ? command(resolve) : resolve);
      }
    }
  }
}

function metered(field: GraphQLField<unknown, unknown>, resolve: Resolver): Resolver {
  const type = getNullableType(field.type);
  if (isLeafType(type)) {
    return leaf(resolve);
  }
  return isListType(type) ? list(resolve) : object(resolve);
}

/** Mutations come one after the other; those whose turn comes too late are not begun. */
function command(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    context.budget.check();
    return resolve(source, args, context, info);
  };
}

function leaf(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    const value = resolve(source, args, context, info);
    if (isOfCommand(info)) {
      return value;
    }
    const put = (found: unknown): unknown => {
      context.budget.putValue(info.path.key, sizeOf(found));
      return found;
    };
    return value instanceof Promise ? awaited(value, context, info).then(put) : put(value);
  };
}

function list(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    const { budget } = context;
    const put = (entries: readonly unknown[]): readonly unknown[] => {
      budget.putObjects(entries.length);
      return entries.map((entry) => budget.turn().then(() => entry));
    };
    const value = resolve(source, args, context, info) as readonly unknown[] | Promise<readonly unknown[]>;
    return value instanceof Promise ? awaited(value, context, info).then(put) : put(value);
  };
}

function object(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    const { budget } = context;
    if (isMutation(info) && info.path.prev === undefined) {
      return resolve(source, args, context, info);
    }
    budget.putObjects(1);
    const value = resolve(source, args, context, info);
    return value instanceof Promise
      ? awaited(value, context, info).then(async (found: unknown) => {
          await budget.turn();
          return found;
        })
      : value;
  };
}

/** A query is given up as a whole; of a mutation only what it reads, never the command itself. */
function awaited<Value>(value: Promise<Value>, { budget }: GraphQLContext, info: GraphQLResolveInfo): Promise<Value> {
  return isMutation(info) ? budget.within(value) : value;
}

/** What a command itself has answered is given out, be it late: it has been done, and may hold a secret that was made. */
function isOfCommand(info: GraphQLResolveInfo): boolean {
  return isMutation(info) && info.path.prev?.prev === undefined;
}

function isMutation({ operation }: GraphQLResolveInfo): boolean {
  return operation.operation === OperationTypeNode.MUTATION;
}

const NUMBER_BYTES = 8;
const DATE_BYTES = 26;

/** As JSON in UTF-8. */
function sizeOf(value: unknown): number {
  if (value instanceof JsonText) {
    return Buffer.byteLength(value.text);
  }
  if (value instanceof Date) {
    return DATE_BYTES;
  }
  return typeof value === 'string' || (typeof value === 'object' && value !== null)
    ? Buffer.byteLength(JSON.stringify(value))
    : NUMBER_BYTES;
}
