type JsonObject = Record<string, unknown>;

/**
 * What a filter means, said as plainly as possible: every value that a path leads to is collected, and each operator
 * asked of all of them. It checks nothing and bounds nothing.
 */
export function matchesByReference(filter: JsonObject, payload: unknown): boolean {
  return holds(filter, payload, [], true);
}

function holds(filter: JsonObject, payload: unknown, path: readonly string[], begins: boolean): boolean {
  return Object.entries(filter).every(([key, operand]) => {
    switch (key) {
      case '$and':
        return (operand as JsonObject[]).every((branch) => holds(branch, payload, path, true));
      case '$or':
        return (operand as JsonObject[]).some((branch) => holds(branch, payload, path, true));
      case '$nor':
        return !(operand as JsonObject[]).some((branch) => holds(branch, payload, path, true));
      case '$not':
        return !holds(operand as JsonObject, payload, path, false);
      default:
        if (key.startsWith('$')) {
          return operatorHolds(key, operand, valuesAt(payload, path));
        }
        return fieldHolds(operand, payload, [...path, ...(begins ? key.split('.') : [key])]);
    }
  });
}

function fieldHolds(operand: unknown, payload: unknown, path: readonly string[]): boolean {
  return isObject(operand)
    ? holds(operand, payload, path, false)
    : operatorHolds('$eq', operand, valuesAt(payload, path));
}

function valuesAt(value: unknown, path: readonly string[]): unknown[] {
  const [name, ...rest] = path;
  if (name === undefined) {
    return [value];
  }
  if (Array.isArray(value)) {
    return String(Number(name)) === name
      ? value.slice(Number(name), Number(name) + 1).flatMap((element) => valuesAt(element, rest))
      : value.filter((element) => isObject(element)).flatMap((element) => valuesAt(element, path));
  }
  return isObject(value) && Object.keys(value).includes(name)
    ? valuesAt(Object.entries(value).find(([key]) => key === name)?.[1], rest)
    : [];
}

function operatorHolds(operator: string, operand: unknown, values: readonly unknown[]): boolean {
  switch (operator) {
    case '$ne':
      return !operatorHolds('$eq', operand, values);
    case '$nin':
      return !operatorHolds('$in', operand, values);
    case '$exists':
      return values.length > 0 === operand;
    default:
      return values
        .flatMap((value) => (Array.isArray(value) ? [value, ...(value as unknown[])] : [value]))
        .some((value) => valueHolds(operator, operand, value));
  }
}

function valueHolds(operator: string, operand: unknown, value: unknown): boolean {
  switch (operator) {
    case '$eq':
      return isEqual(value, operand);
    case '$in':
      return (operand as unknown[]).some((one) => isEqual(value, one));
    case '$gt':
      return typeof value === typeof operand && order(value, operand) > 0;
    case '$gte':
      return typeof value === typeof operand && order(value, operand) >= 0;
    case '$lt':
      return typeof value === typeof operand && order(value, operand) < 0;
    case '$lte':
      return typeof value === typeof operand && order(value, operand) <= 0;
    case '$startsWith':
      return typeof value === 'string' && value.slice(0, (operand as string).length) === operand;
    case '$endsWith':
      return typeof value === 'string' && (operand === '' || value.slice(-(operand as string).length) === operand);
    case '$contains':
      return Array.isArray(value)
        ? value.some((element) => isEqual(element, operand))
        : typeof value === 'string' && typeof operand === 'string' && isPart(value, operand);
    default:
      throw new Error(`There is no operator ${operator}.`);
  }
}

function isPart(text: string, part: string): boolean {
  return Array.from({ length: text.length + 1 }, (_, at) => text.slice(at, at + part.length)).includes(part);
}

/** Integers that are not safe equal nothing. */
function isEqual(value: unknown, operand: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER ? false : value === operand;
}

function order(value: unknown, operand: unknown): number {
  if (typeof value === 'number') {
    return value - (operand as number);
  }
  const [one, other] = [Array.from(value as string), Array.from(operand as string)].map((characters) =>
    characters.map((character) => character.codePointAt(0) ?? 0),
  ) as [number[], number[]];
  const at = one.findIndex((codePoint, index) => codePoint !== other[index]);
  return at === -1 ? one.length - other.length : (one[at] ?? 0) - (other[at] ?? -1);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
