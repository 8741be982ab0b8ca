import { expect } from '@jest/globals';
import type { GraphQLAnswer, TestApp } from './test-app.ts';

type Input = Readonly<Record<string, unknown>>;

export interface Mutation {
  readonly name: string;
  readonly inputType: string;
  /** For updates: the id of what is changed. */
  readonly id?: string;
}

/** A value that is written as a bare word, as enum values are. */
export class Word {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toJSON(): string {
    return this.text;
  }
}

/** Clients give values in two ways, which GraphQL checks by two different paths: as variables, and in the query's text. */
export async function bothWays(app: TestApp, mutation: Mutation, input: Input): Promise<GraphQLAnswer[]> {
  const { name, inputType, id } = mutation;
  const idArgument = id === undefined ? '' : `id: "${id}", `;
  const byVariable = `mutation ($input: ${inputType}!) { ${name}(${idArgument}input: $input) { id } }`;
  const byLiteral = `mutation { ${name}(${idArgument}input: ${literal(input)}) { id } }`;
  return [await app.graphql(byVariable, { input }), await app.graphql(byLiteral)];
}

/** Refused both ways, with the code and the field, in a sentence that does not repeat the value. */
export async function expectBadInput(app: TestApp, mutation: Mutation, input: Input, field: string): Promise<void> {
  for (const { data, errors } of await bothWays(app, mutation, input)) {
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
    expect(errors?.[0]?.message).toMatch(/^(?:The|There|All|Each|An?) .{10,}\.$/);
    expect(data ?? null).toBeNull();
  }
}

function literal(value: unknown): string {
  if (value instanceof Word) {
    return value.text;
  }
  if (Array.isArray(value)) {
    return `[${value.map(literal).join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, one]) => one !== undefined);
    return `{ ${fields.map(([key, one]) => `${key}: ${literal(one)}`).join(', ')} }`;
  }
  return JSON.stringify(value);
}
