import { type Arbitrary, array, boolean, constantFrom, dictionary, letrec, oneof, option, tuple } from 'fast-check';
import type { JsonObject } from './filter-arbitraries.ts';

/**
 * What MongoDB's libraries and our filters agree on. They differ where null or a mixed array comes in, in the order of
 * characters beyond U+FFFF, and in numbers as keys of what is no array.
 */
const STRINGS = ['', 'a', 'ab', 'ba', '1'] as const;
const NUMBERS = [0, 1, 2, 0.1, -1.5] as const;
const FIELDS = ['a', 'b'] as const;

const scalar: Arbitrary<unknown> = constantFrom<unknown>(...STRINGS, ...NUMBERS, true, false);
const scalars = array(scalar, { maxLength: 3 });
const ordered = constantFrom<unknown>(...STRINGS, ...NUMBERS);

const BOUNDED = { maxDepth: 3, depthIdentifier: 'payload' } as const;

type Trees = { object: JsonObject };

/** Lists of scalars are at `tags`, and lists of objects at `list`. */
export const commonPayload: Arbitrary<JsonObject> = letrec<Trees>((tie) => ({
  object: tuple(
    dictionary(constantFrom(...FIELDS), oneof(BOUNDED, scalar, tie('object')), { maxKeys: 2 }),
    option(scalars),
    option(
      array(oneof(BOUNDED, dictionary(constantFrom(...FIELDS), scalar, { maxKeys: 2 }), tie('object')), {
        maxLength: 2,
      }),
    ),
  ).map(([fields, tags, list]) => Object.assign(fields, tags && { tags }, list && { list }) as JsonObject),
})).object;

const path = tuple(
  array(constantFrom(...FIELDS, 'list', 'list.0', 'list.1'), { maxLength: 2 }),
  constantFrom(...FIELDS, 'tags', 'tags.0'),
).map(([way, end]) => [...way, end].join('.'));

const operator: Arbitrary<JsonObject> = oneof(
  ...['$eq', '$ne'].map((name) => scalar.map((operand) => ({ [name]: operand }))),
  ...['$in', '$nin'].map((name) => scalars.map((operand) => ({ [name]: operand }))),
  ...['$gt', '$gte', '$lt', '$lte'].map((name) => ordered.map((operand) => ({ [name]: operand }))),
  boolean().map(($exists) => ({ $exists })),
);

const conditions: Arbitrary<JsonObject> = dictionary(
  path,
  oneof(
    scalar,
    operator,
    operator.map(($not) => ({ $not })),
  ),
  { minKeys: 1, maxKeys: 2, noNullPrototype: true },
);

export const commonFilter: Arbitrary<JsonObject> = oneof(
  conditions,
  tuple(constantFrom('$and', '$or', '$nor'), array(conditions, { minLength: 1, maxLength: 2 })).map(
    ([name, branches]): JsonObject => ({ [name]: branches }),
  ),
);
