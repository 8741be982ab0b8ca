import { expect, test } from '@jest/globals';
import {
  buildSchema,
  type DocumentNode,
  type ExecutionResult,
  getOperationAST,
  type GraphQLSchema,
  parse,
} from 'graphql';
import { EVERYTHING } from '../../src/core/scope.ts';
import { AnswerPool } from '../../src/graphql/answer.ts';
import { Budget } from '../../src/graphql/budget.ts';
import { boundedGateway } from '../../src/graphql/executor.ts';
import { meterSchema } from '../../src/graphql/schema.ts';
import { AnswerTurns } from '../../src/graphql/answer-turns.ts';

const never = () => new Promise<never>(() => {});

async function slowly(): Promise<unknown> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { id: '1' };
}

type Resolvers = Readonly<Record<string, (...args: unknown[]) => unknown>>;

const TYPES = `
  type Query { thing: Thing }
  type Mutation { first: Thing second: Thing }
  type Thing { id: ID self: Thing }
`;

function schemaOf(resolvers: Readonly<Record<string, Resolvers>>): GraphQLSchema {
  const schema = buildSchema(TYPES);
  for (const [type, fields] of Object.entries(resolvers)) {
    for (const [field, resolve] of Object.entries(fields)) {
      Object.assign((schema.getType(type) as { getFields(): Record<string, object> }).getFields()[field] ?? {}, {
        resolve,
      });
    }
  }
  meterSchema(schema);
  return schema;
}

/** @param durationMaxMs over at once by default: nothing here ever answers in time. */
async function run(schema: GraphQLSchema, query: string, durationMaxMs = 1): Promise<ExecutionResult> {
  const { executor } = await boundedGateway(schema).load({ apollo: {} });
  const budget = new Budget({ caller: EVERYTHING, pool: new AnswerPool(), turns: new AnswerTurns(), durationMaxMs });
  const document: DocumentNode = parse(query);
  const operation = getOperationAST(document);
  return (await executor?.({ document, operation, request: {}, context: { budget } } as never)) as ExecutionResult;
}

function codes({ errors }: ExecutionResult): unknown[] {
  return (errors ?? []).map(({ path, originalError }) => [path?.join('.'), (originalError as { code?: string }).code]);
}

test('a query that hangs is answered when its time is over', async () => {
  const result = await run(schemaOf({ Query: { thing: never } }), '{ thing { id } }');
  expect(result.data).toBeNull();
  expect(codes(result)).toEqual([[undefined, 'TOO_EXPENSIVE']]);
});

test('a query that hangs below is answered when its time is over', async () => {
  const schema = schemaOf({ Query: { thing: async () => ({ id: '1' }) }, Thing: { self: never } });
  expect(codes(await run(schema, '{ thing { id self { id } } }'))).toEqual([[undefined, 'TOO_EXPENSIVE']]);
});

test('a mutation that has committed is answered, though what is read after it hangs; those behind it are not begun', async () => {
  let begun = 0;
  const schema = schemaOf({
    Mutation: { first: async () => ({ id: '1' }), second: async () => ({ id: String((begun += 1)) }) },
    Thing: { self: never },
  });
  const result = await run(schema, 'mutation { first { id self { id } } second { id } }');
  expect(result.data).toEqual({ first: { id: '1', self: null }, second: null });
  expect(codes(result)).toEqual([
    ['first.self', 'TOO_EXPENSIVE'],
    ['second', 'TOO_EXPENSIVE'],
  ]);
  expect(begun).toBe(0);
});

test('a mutation that takes longer than its time is waited for, and what it has made is answered', async () => {
  const result = await run(schemaOf({ Mutation: { first: slowly } }), 'mutation { first { id } }');
  expect(result).toEqual({ data: { first: { id: '1' } } });
});

test('a query within its time is answered as ever', async () => {
  const schema = schemaOf({ Query: { thing: async () => ({ id: '1' }) }, Thing: { self: async () => ({ id: '2' }) } });
  const result = await run(schema, '{ thing { id self { id } } }', 60_000);
  expect(result).toEqual({ data: { thing: { id: '1', self: { id: '2' } } } });
});
