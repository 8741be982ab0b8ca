import { compareCodePoints, comparesByCodeUnit } from './code-points.ts';
import { Substring } from './substring.ts';

/** What is left of the work that one evaluation may take. It has run out when it is below 0. */
export interface Work {
  left: number;
}

/** What an operator with its operand asks of a value. */
export interface Test {
  /** The work that each value takes at most, where it is not for the test itself to count it. */
  readonly cost: number;
  readonly holds: (value: unknown, work: Work) => boolean;
}

/** The operator holds where no value passes the test, if it is `negated`, and else where one does. */
export interface OperatorTest extends Test {
  readonly negated: boolean;
}

interface Operator {
  /** The end of a sentence for people. */
  readonly takes: string;
  /** Undefined for an operand of the wrong kind. */
  readonly test: (operand: unknown) => OperatorTest | undefined;
}

type Scalar = string | number | boolean | null;

const COMPARED_PER_STEP = 128;
const SEARCHED_PER_STEP = 16;

const SCALAR = 'a string, a number, true, false or null';
const LIST = 'a list of strings, numbers, true, false or null';
const ORDERED = 'a number or a string';
const STRING = 'a string';

/** A Map, because an object would have operators such as "toString". */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['$eq', { takes: SCALAR, test: (operand) => equality(operand, false) }],
  ['$ne', { takes: SCALAR, test: (operand) => equality(operand, true) }],
  ['$in', { takes: LIST, test: (operand) => membership(operand, false) }],
  ['$nin', { takes: LIST, test: (operand) => membership(operand, true) }],
  ['$gt', { takes: ORDERED, test: (operand) => comparison(operand, (order) => order > 0) }],
  ['$gte', { takes: ORDERED, test: (operand) => comparison(operand, (order) => order >= 0) }],
  ['$lt', { takes: ORDERED, test: (operand) => comparison(operand, (order) => order < 0) }],
  ['$lte', { takes: ORDERED, test: (operand) => comparison(operand, (order) => order <= 0) }],
  ['$exists', { takes: 'true or false', test: existence }],
  ['$startsWith', { takes: STRING, test: (operand) => affix(operand, (text, part) => text.startsWith(part)) }],
  ['$endsWith', { takes: STRING, test: (operand) => affix(operand, (text, part) => text.endsWith(part)) }],
  ['$contains', { takes: SCALAR, test: containment }],
]);

function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/**
 * A number beyond ±(2^53 - 1) in a payload equals nothing, because no operand is: `JSON.parse` rounds integers to
 * others there, but never back below.
 */
export function equality(operand: unknown, negated: boolean): OperatorTest | undefined {
  return isScalar(operand)
    ? { negated, cost: costOfComparing(operand), holds: (value) => value === operand }
    : undefined;
}

function membership(operand: unknown, negated: boolean): OperatorTest | undefined {
  if (!Array.isArray(operand) || !operand.every((one) => isScalar(one))) {
    return undefined;
  }
  const members: ReadonlySet<unknown> = new Set(operand);
  const lengthMax = operand.reduce<number>((most, one) => Math.max(most, typeof one === 'string' ? one.length : 0), 0);
  // A longer string is not looked up, because that takes a hash of all of it.
  const holds = (value: unknown): boolean =>
    (typeof value !== 'string' || value.length <= lengthMax) && members.has(value);
  return { negated, cost: 1 + Math.floor(lengthMax / COMPARED_PER_STEP), holds };
}

function comparison(operand: unknown, accepts: (order: number) => boolean): OperatorTest | undefined {
  if (typeof operand === 'number') {
    return {
      negated: false,
      cost: 1,
      holds: (value) => typeof value === 'number' && accepts(value < operand ? -1 : Number(value > operand)),
    };
  }
  if (typeof operand !== 'string') {
    return undefined;
  }
  const order = comparesByCodeUnit(operand)
    ? (text: string): number => (text < operand ? -1 : Number(text > operand))
    : (text: string): number => compareCodePoints(text, operand);
  return {
    negated: false,
    cost: costOfComparing(operand),
    holds: (value) => typeof value === 'string' && accepts(order(value)),
  };
}

function existence(operand: unknown): OperatorTest | undefined {
  return typeof operand === 'boolean' ? { negated: !operand, cost: 1, holds: () => true } : undefined;
}

function affix(operand: unknown, accepts: (text: string, part: string) => boolean): OperatorTest | undefined {
  return typeof operand === 'string'
    ? {
        negated: false,
        cost: costOfComparing(operand),
        holds: (value) => typeof value === 'string' && accepts(value, operand),
      }
    : undefined;
}

function containment(operand: unknown): OperatorTest | undefined {
  if (!isScalar(operand)) {
    return undefined;
  }
  const cost = costOfComparing(operand);
  const part = typeof operand === 'string' ? new Substring(operand) : undefined;
  const equal: Test = { cost, holds: (element) => element === operand };
  const holds = (value: unknown, work: Work): boolean => {
    if (typeof value === 'string' && part !== undefined) {
      work.left -= Math.floor(value.length / SEARCHED_PER_STEP);
      return work.left >= 0 && part.isIn(value);
    }
    return Array.isArray(value) && hasElement(value, equal, work);
  };
  return { negated: false, cost, holds };
}

/** Whether an element passes the test. It stops when the work has run out. */
export function hasElement(elements: readonly unknown[], { cost, holds }: Test, work: Work): boolean {
  for (const element of elements) {
    work.left -= cost;
    if (work.left < 0) {
      return false;
    }
    if (holds(element, work)) {
      return true;
    }
  }
  return false;
}

function costOfComparing(operand: Scalar): number {
  return 1 + Math.floor((typeof operand === 'string' ? operand.length : 0) / COMPARED_PER_STEP);
}
