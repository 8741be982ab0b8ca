import { type DottedPath, isForbiddenKey, pathKey } from './dotted-path.ts';
import { DomainError } from './errors.ts';
import { type Condition, type Filter, matchesEverything } from './filter.ts';
import { equality, OPERATORS, type OperatorTest } from './filter-operators.ts';

const BYTES_MAX = 8 * 1024;
/** Objects in objects. A dotted key counts for as many as it has parts. */
const DEPTH_MAX = 10;
const PATH_CHARACTERS_MAX = 200;

/** Where something stands: in the filter, and in the payload that it is about. */
interface Place {
  /** The keys of the filter, as messages name them. */
  readonly at: readonly string[];
  readonly keys: DottedPath;
  readonly depth: number;
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * @param input a JSON value, as the API received it or the database kept it
 * @throws DomainError BAD_USER_INPUT, which names the place in the filter
 */
export function parseFilter(input: unknown): Filter {
  const start: Place = { at: [], keys: [], depth: 1 };
  if (!isObject(input)) {
    throw badFilter(start, 'a filter is a JSON object.');
  }
  const filter = parseBranch(input, start);
  if (Buffer.byteLength(JSON.stringify(input)) > BYTES_MAX) {
    throw badFilter(start, `it has more than ${BYTES_MAX} bytes of JSON.`);
  }
  return filter;
}

/** A filter where it begins, so that dotted keys are paths. */
function parseBranch(input: JsonObject, place: Place): Filter {
  return parseEntries(input, place, (key) => key.split('.'));
}

/** What stands at a field. Keys are literal there. */
function parseNested(input: JsonObject, place: Place): Filter {
  return parseEntries(input, place, (key) => [key]);
}

function parseEntries(input: JsonObject, place: Place, namesIn: (key: string) => string[]): Filter {
  if (place.depth > DEPTH_MAX) {
    throw badFilter(place, `it is more than ${DEPTH_MAX} objects deep.`);
  }
  const rules = Object.entries(input).map(([key, operand]) => {
    const here = { ...place, at: [...place.at, key] };
    return key.startsWith('$') ? parseOperator(key, operand, here) : parseField(namesIn(key), operand, here);
  });
  return all(rules);
}

function all(rules: readonly Filter[]): Filter {
  const asking = rules.filter((rule) => !matchesEverything(rule));
  const [only] = asking;
  return only !== undefined && asking.length === 1 ? only : { kind: 'all', rules: asking };
}

function parseField(names: readonly string[], operand: unknown, { at, keys, depth }: Place): Filter {
  const place = { at, keys: [...keys, ...names.map((name) => pathKey(name))], depth: depth + names.length - 1 };
  if (names.some((name) => isForbiddenKey(name))) {
    throw badFilter(place, 'this key cannot be named.');
  }
  if (names.length > 1 && names.some((name) => name === '' || name.startsWith('$'))) {
    throw badFilter(place, 'the parts of a dotted key must not be empty, and not begin with "$".');
  }
  if (place.depth > DEPTH_MAX) {
    throw badFilter(place, `it is more than ${DEPTH_MAX} objects deep.`);
  }
  if (isObject(operand)) {
    return parseNested(operand, { ...place, depth: place.depth + 1 });
  }
  checkScalars([operand], place);
  return condition(
    place,
    equality(operand, false),
    'a condition is a string, a number, true, false, null or an object; for one of several values use $in.',
  );
}

function parseOperator(name: string, operand: unknown, place: Place): Filter {
  if (name === '$and' || name === '$or' || name === '$nor') {
    return parseCombination(name, operand, place);
  }
  const operator = OPERATORS.get(name);
  if (operator === undefined && name !== '$not') {
    throw badFilter(
      place,
      `there is no such operator. There are ${[...OPERATORS.keys()].join(', ')}, $not, $and, $or and $nor.`,
    );
  }
  if (place.keys.length === 0) {
    throw badFilter(place, `${name} stands at a field; here only $and, $or and $nor can stand.`);
  }
  if (operator === undefined) {
    return parseNegation(operand, place);
  }
  checkScalars(Array.isArray(operand) ? operand : [operand], place);
  return condition(place, operator.test(operand), `${name} takes ${operator.takes}.`);
}

function parseCombination(name: '$and' | '$or' | '$nor', operand: unknown, place: Place): Filter {
  if (!Array.isArray(operand) || operand.length === 0) {
    throw badFilter(place, `${name} takes a list of one or more filters.`);
  }
  const rules = operand.map((branch: unknown, number) => {
    const here = { ...place, at: [...place.at, String(number)], depth: place.depth + 1 };
    if (!isObject(branch)) {
      throw badFilter(here, `${name} takes a list of filters, and a filter is a JSON object.`);
    }
    return parseBranch(branch, here);
  });
  if (name === '$and') {
    return all(rules);
  }
  const path = payloadPath(place, name);
  const any: Filter = { kind: 'any', rules, path };
  return name === '$or' ? any : { kind: 'not', rule: any, path };
}

function parseNegation(operand: unknown, place: Place): Filter {
  if (!isObject(operand) || Object.keys(operand).length === 0) {
    throw badFilter(place, '$not takes an object of one or more operators.');
  }
  return { kind: 'not', rule: parseNested(operand, { ...place, depth: place.depth + 1 }), path: payloadPath(place) };
}

function condition(place: Place, test: OperatorTest | undefined, rule: string): Condition {
  if (test === undefined) {
    throw badFilter(place, rule);
  }
  return { kind: 'condition', keys: place.keys, test, path: payloadPath(place) };
}

/** What is no scalar is for the operator to refuse. */
function checkScalars(operands: readonly unknown[], place: Place): void {
  for (const operand of operands) {
    if (typeof operand === 'number' && !(Math.abs(operand) <= Number.MAX_SAFE_INTEGER)) {
      throw badFilter(place, 'an integer beyond ±(2^53 - 1) cannot be compared exactly.');
    }
    // Neither could be kept by every database.
    if (typeof operand === 'string' && (operand.includes('\0') || !operand.isWellFormed())) {
      throw badFilter(place, 'a string must be valid Unicode without the null character.');
    }
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function payloadPath({ keys }: Place, ...operator: string[]): string {
  return bounded([...keys.map(({ name }) => name), ...operator].join('.'));
}

function badFilter({ at }: Place, rule: string): DomainError {
  const where = at.length === 0 ? 'The filter' : `The filter at ${bounded(at.join('.'))}`;
  return DomainError.badInput('filter', `${where}: ${rule}`);
}

function bounded(path: string): string {
  return path.length <= PATH_CHARACTERS_MAX ? path : `${path.slice(0, PATH_CHARACTERS_MAX - 1).toWellFormed()}…`;
}
