import { type Arbitrary, array, boolean, constantFrom, dictionary, letrec, oneof, option, tuple } from 'fast-check';

export type JsonObject = Record<string, unknown>;

/** Few, so that filters and payloads meet. Some are on every prototype, and one is a number. */
const KEYS = ['a', 'b', 'c', '0', '1', 'length', 'constructor', 'toString', '__proto__', ''] as const;
const FILTER_KEYS = KEYS.filter((key) => key !== '__proto__' && key !== '');

/** The last three stand in an order by code point that differs from the one by code unit. */
export const STRINGS = ['', 'a', 'ab', 'ba', 'aba', '1', 'true', '\u{1f600}', '\uff5e', '\u{1f600}\uff5e'] as const;
export const NUMBERS = [0, -0, 1, 2, 0.1, -1.5, 2 ** 53 - 1, 1 - 2 ** 53] as const;
/** Only payloads may have them. */
const UNSAFE = [2 ** 53, -(2 ** 53), 1e300, Number.MAX_VALUE] as const;

const scalar: Arbitrary<unknown> = constantFrom(...STRINGS, ...NUMBERS, true, false, null);

type Trees = {
  value: unknown;
  object: JsonObject;
};

/** What `JSON.parse` makes of a payload. */
export const payload: Arbitrary<JsonObject> = letrec<Trees>((tie) => ({
  value: oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    constantFrom<unknown>(...UNSAFE, '\ud800'),
    array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
  object: dictionary(constantFrom<string>(...KEYS), tie('value'), { maxKeys: 5 }),
})).object.map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);

const ordered = constantFrom<unknown>(...STRINGS, ...NUMBERS);
const scalars = array(scalar, { maxLength: 3 });

/** At most two operators at one field. */
const operators: Arbitrary<JsonObject> = array(
  oneof(
    ...['$eq', '$ne', '$contains'].map((name) => scalar.map((operand) => ({ [name]: operand }))),
    ...['$in', '$nin'].map((name) => scalars.map((operand) => ({ [name]: operand }))),
    ...['$gt', '$gte', '$lt', '$lte'].map((name) => ordered.map((operand) => ({ [name]: operand }))),
    ...['$startsWith', '$endsWith'].map((name) => constantFrom(...STRINGS).map((operand) => ({ [name]: operand }))),
    boolean().map(($exists) => ({ $exists })),
  ),
  { maxLength: 2 },
).map((some) => Object.assign({}, ...some) as JsonObject);

/** Levels that all kinds of branches have together, so that no filter is too deep. */
const BOUNDED = { maxDepth: 3, depthIdentifier: 'filter', withCrossShrink: true } as const;

type Filters = {
  branch: JsonObject;
  nested: JsonObject;
  operand: unknown;
};

const dottedKey = array(constantFrom<string>(...FILTER_KEYS), { minLength: 1, maxLength: 3 }).map((keys) =>
  keys.join('.'),
);

/** `{ $or: [...] }` and its like. */
function combination(branch: Arbitrary<JsonObject>): Arbitrary<JsonObject> {
  return tuple(constantFrom('$and', '$or', '$nor'), array(branch, { minLength: 1, maxLength: 2 })).map(
    ([name, branches]) => ({ [name]: branches }),
  );
}

const filters = letrec<Filters>((tie) => ({
  operand: oneof(BOUNDED, scalar, operators, tie('nested')),
  branch: oneof(BOUNDED, dictionary(dottedKey, tie('operand'), { maxKeys: 3 }), combination(tie('branch'))),
  nested: oneof(
    BOUNDED,
    operators,
    combination(operators),
    dictionary(constantFrom(...FILTER_KEYS, 'a.b'), tie('operand'), { maxKeys: 2 }),
    tie('nested').map(($not) => (Object.keys($not).length === 0 ? {} : { $not })),
    combination(tie('branch')),
  ),
}));

/** Filters that `parseFilter` accepts. */
export const filter: Arbitrary<JsonObject> = filters.branch;

const ANY_KEYS = [
  ...KEYS,
  'a.b',
  'a..b',
  'a.$eq',
  'a.__proto__',
  '$and',
  '$or',
  '$nor',
  '$not',
  '$eq',
  '$in',
  '$nin',
  '$gt',
  '$exists',
  '$startsWith',
  '$contains',
  '$regex',
  '$where',
  '$toString',
  '\0',
  '\ud800',
] as const;

/** JSON that looks like a filter, and mostly is none. */
export const nonsense: Arbitrary<unknown> = letrec<Trees>((tie) => ({
  value: oneof(
    { depthSize: 'medium' },
    scalar,
    constantFrom<unknown>(...UNSAFE, '\0', undefined),
    option(array(tie('value'), { maxLength: 3 })),
    tie('object'),
  ),
  object: dictionary(constantFrom<string>(...ANY_KEYS), tie('value'), { maxKeys: 3 }),
})).object;
