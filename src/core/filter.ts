import { type DottedPath, memberOf } from './dotted-path.ts';
import { hasElement, type OperatorTest, type Work } from './filter-operators.ts';

/**
 * What one evaluation may do: a step is a key that is looked up, an element that is looked at, or so many characters
 * that are compared or searched. That is tens of milliseconds at worst, whatever the filter and the payload.
 */
export const FILTER_STEPS_MAX = 250_000;

/**
 * A filter is a Boolean formula of conditions on paths, made by `parseFilter`. Each condition looks at the payload
 * for itself: two conditions on `items.sku` and `items.quantity` may be met by two elements.
 */
export type Filter = AllOf | AnyOf | Not | Condition;

interface AllOf {
  readonly kind: 'all';
  readonly rules: readonly Filter[];
}

interface AnyOf {
  readonly kind: 'any';
  readonly rules: readonly Filter[];
  readonly path: string;
}

interface Not {
  readonly kind: 'not';
  readonly rule: Filter;
  readonly path: string;
}

export interface Condition {
  readonly kind: 'condition';
  readonly keys: DottedPath;
  readonly test: OperatorTest;
  readonly path: string;
}

/** `path` is the field of the first condition that fails, or where the work ran out. */
export type FilterResult = { readonly matches: true } | { readonly matches: false; readonly path: string };

const MATCH: FilterResult = { matches: true };

interface Evaluation extends Work {
  /** Where the work ran out. */
  endedAt: string | undefined;
}

/** Never throws. A filter that takes more than its steps does not match, not even by negation. */
export function evaluate(filter: Filter, payload: unknown): FilterResult {
  const evaluation: Evaluation = { left: FILTER_STEPS_MAX, endedAt: undefined };
  const failed = pathOfFailure(filter, payload, evaluation);
  const path = evaluation.endedAt ?? failed;
  return path === undefined ? MATCH : { matches: false, path };
}

/** Whether it matches without a look at the payload. */
export function matchesEverything(filter: Filter): boolean {
  return filter.kind === 'all' && filter.rules.length === 0;
}

/** @returns undefined if the rule holds */
function pathOfFailure(rule: Filter, payload: unknown, evaluation: Evaluation): string | undefined {
  switch (rule.kind) {
    case 'all':
      return pathOfFirstFailure(rule.rules, payload, evaluation);
    case 'any':
      return rule.rules.some((one) => pathOfFailure(one, payload, evaluation) === undefined) ? undefined : rule.path;
    case 'not':
      return pathOfFailure(rule.rule, payload, evaluation) === undefined ? rule.path : undefined;
    case 'condition':
      return conditionHolds(rule, payload, evaluation) ? undefined : rule.path;
  }
  return rule satisfies never;
}

function pathOfFirstFailure(rules: readonly Filter[], payload: unknown, evaluation: Evaluation): string | undefined {
  for (const rule of rules) {
    const path = pathOfFailure(rule, payload, evaluation);
    if (path !== undefined) {
      return path;
    }
  }
  return undefined;
}

function conditionHolds(condition: Condition, payload: unknown, evaluation: Evaluation): boolean {
  const holds = hasValue(payload, condition, 0, evaluation) !== condition.test.negated;
  if (evaluation.left < 0) {
    evaluation.endedAt ??= condition.path;
  }
  return holds;
}

/**
 * Whether a value that the keys lead to passes the test: the value at their end or, if that is an array, one of its
 * elements. A key that is no number looks into each element of an array.
 */
function hasValue(start: unknown, condition: Condition, from: number, work: Work): boolean {
  const { keys, test } = condition;
  let value = start;
  for (let at = from; at < keys.length; at += 1) {
    const key = keys[at];
    work.left -= 1;
    if (key === undefined || work.left < 0) {
      return false;
    }
    if (Array.isArray(value) && key.index < 0) {
      return hasValueInElements(value, condition, at, work);
    }
    value = memberOf(value, key);
    if (value === undefined) {
      return false;
    }
  }
  work.left -= test.cost;
  return work.left >= 0 && (test.holds(value, work) || (Array.isArray(value) && hasElement(value, test, work)));
}

/** It does not look into arrays in arrays, so each call of `hasValue` is for fewer keys: that bounds the recursion. */
function hasValueInElements(elements: readonly unknown[], condition: Condition, from: number, work: Work): boolean {
  for (const element of elements) {
    work.left -= 1;
    if (work.left < 0) {
      return false;
    }
    if (!Array.isArray(element) && hasValue(element, condition, from, work)) {
      return true;
    }
  }
  return false;
}
