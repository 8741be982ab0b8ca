import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  buildSchema,
  getNamedType,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
} from 'graphql';
import { printedSchema } from '../../src/commands/print-schema.ts';
import { CONTRACT } from '../support/contract.ts';

const contract = buildSchema(CONTRACT, { assumeValidSDL: true });
const actual = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));

function typesOf(schema: GraphQLSchema): GraphQLNamedType[] {
  const all = Object.values(schema.getTypeMap());
  return all.filter((type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type));
}

/** One line for each thing a client can rely on: every enum value, field, input field and argument with its type. */
function linesOf(type: GraphQLNamedType): string[] {
  if (isEnumType(type)) {
    return type.getValues().map(({ name }) => `${type.name}.${name}`);
  }
  if (isInputObjectType(type)) {
    return Object.values(type.getFields()).map(
      (field) => `${type.name}.${field.name}: ${field.type.toString()} = ${String(field.defaultValue)}`,
    );
  }
  if (isObjectType(type) || isInterfaceType(type)) {
    const fields = Object.values(type.getFields());
    const args = fields.flatMap((field) => field.args.map((arg) => [field.name, arg] as const));
    return fields
      .map((field) => `${type.name}.${field.name}: ${field.type.toString()}`)
      .concat(
        args.map(
          ([name, arg]) => `${type.name}.${name}(${arg.name}: ${arg.type.toString()} = ${String(arg.defaultValue)})`,
        ),
      );
  }
  return [`scalar ${type.name}`];
}

function undescribed(type: GraphQLNamedType): string[] {
  const parts: { name: string; description?: string | null | undefined }[] = [type];
  if (isEnumType(type)) {
    parts.push(...type.getValues());
  }
  if (isObjectType(type) || isInputObjectType(type)) {
    parts.push(...Object.values(type.getFields()));
  }
  if (isObjectType(type)) {
    parts.push(...Object.values(type.getFields()).flatMap(({ args }) => args));
  }
  return parts.filter(({ description }) => !description?.trim()).map(({ name }) => `${type.name}: ${name}`);
}

describe('schema.graphql', () => {
  test('is what the code prints', async () => {
    const committed = readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8');
    expect(committed).toBe(await printedSchema());
  });

  test('has every type, field, nullability, argument and default of the contract, and no other', () => {
    const expected = typesOf(contract).flatMap(linesOf);
    expect(expected.length).toBeGreaterThan(100);
    expect(typesOf(actual).flatMap(linesOf).toSorted()).toEqual(expected.toSorted());
  });

  test('refers to no type that it does not have', () => {
    const names = new Set(Object.keys(actual.getTypeMap()));
    const used = typesOf(actual).flatMap((type) =>
      isObjectType(type) ? Object.values(type.getFields()).map((field) => getNamedType(field.type).name) : [],
    );
    expect(used.filter((name) => !names.has(name))).toEqual([]);
  });

  test('says of every scalar where it is specified', () => {
    const scalars = typesOf(actual).filter((type) => isScalarType(type));
    expect(scalars.length).toBeGreaterThan(0);
    expect(scalars.filter(({ specifiedByURL }) => !URL.canParse(specifiedByURL ?? '')).map(String)).toEqual([]);
  });

  test('describes every type, field, argument, input field and enum value', () => {
    expect(typesOf(actual).flatMap(undescribed)).toEqual([]);
  });
});
