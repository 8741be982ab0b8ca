import 'reflect-metadata';
import {
  defaultFieldResolver,
  getNamedType,
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
import { EventResolver, RouteResolver } from './event.ts';
import { DeliveryPreviewResolver } from './delivery-preview.ts';
import type { GraphQLContext } from './context.ts';
import { JsonText } from './answer.ts';

const RESOLVERS: NonEmptyArray<new () => object> = [
  AccountResolver,
  DestinationResolver,
  EventResolver,
  RouteResolver,
  DeliveryResolver,
  AttemptResolver,
  DeliveryPreviewResolver,
];

let built: Promise<GraphQLSchema> | undefined;

/** Built once, because type-graphql's metadata is global. The commands validate the inputs, not decorators. */
export function graphqlSchema(): Promise<GraphQLSchema> {
  built ??= build();
  return built;
}

async function build(): Promise<GraphQLSchema> {
  const schema = await buildSchema({ resolvers: RESOLVERS, validate: false, emitSchemaFile: false });
  // type-graphql makes the two root types itself, without an option for their descriptions.
  const [query, mutation] = [schema.getQueryType(), schema.getMutationType()];
  if (query && mutation) {
    query.description = 'Reads. An unknown id gives null, or an empty list.';
    mutation.description = 'Changes. A mutation that is refused has changed nothing.';
  }
  meterSchema(schema);
  return schema;
}

type Resolver = GraphQLFieldResolver<unknown, GraphQLContext>;

/**
 * Wraps the resolver of every field: values in the answer are counted, and each object waits for its turn. Resolvers need
 * not do this themselves.
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
  // A list of scalars is small, and counts as one value.
  if (isLeafType(getNamedType(type))) {
    return leaf(resolve);
  }
  return isListType(type) ? list(resolve) : object(resolve);
}

/** Mutations run one after the other. Those after the budget is exceeded are not started. */
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
    const counted = (found: unknown): unknown => {
      context.budget.countValue(info.path.key, sizeOf(found));
      return found;
    };
    return value instanceof Promise ? awaited(value, context, info).then(counted) : counted(value);
  };
}

function list(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    const { budget } = context;
    const counted = (entries: readonly unknown[]): readonly unknown[] => {
      budget.countObjects(entries.length);
      return entries.map((entry) => budget.turn().then(() => entry));
    };
    const value = resolve(source, args, context, info) as readonly unknown[] | Promise<readonly unknown[]>;
    return value instanceof Promise ? awaited(value, context, info).then(counted) : counted(value);
  };
}

function object(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    const { budget } = context;
    if (isMutation(info) && info.path.prev === undefined) {
      return resolve(source, args, context, info);
    }
    budget.countObjects(1);
    const value = resolve(source, args, context, info);
    return value instanceof Promise
      ? awaited(value, context, info).then(async (found: unknown) => {
          await budget.turn();
          return found;
        })
      : value;
  };
}

/** A query is aborted as a whole. A mutation's reads may fail, but never the command itself. */
function awaited<Value>(value: Promise<Value>, { budget }: GraphQLContext, info: GraphQLResolveInfo): Promise<Value> {
  return isMutation(info) ? budget.orRefused(value) : value;
}

/** A command's own result is always returned: its change is committed, and the result may contain a new secret. */
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
