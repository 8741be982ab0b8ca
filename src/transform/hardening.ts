/**
 * An expression can reach objects of JSONata itself, and change them with the transform operator: `|$uppercase|{...}|`
 * replaced the function for every expression of the process. What outlives an expression is frozen here: the objects
 * that two expressions have in common, and JavaScript's own.
 */
import jsonata from 'jsonata';
import { OPTIONS } from './expressions.ts';

/** Those that all expressions share. A test compares the list with the library. */
export const BUILT_IN =
  `sum count max min average string substring substringBefore substringAfter lowercase uppercase length trim pad match
  contains replace split join formatNumber formatBase formatInteger parseInteger number floor ceil round abs sqrt power
  random boolean not map zip filter single reduce sift keys lookup append exists spread merge reverse each error assert
  type sort shuffle distinct base64encode base64decode encodeUrlComponent encodeUrl decodeUrlComponent decodeUrl eval
  toMillis fromMillis clone`.split(/\s+/);

/** A function, one that JSONata makes of two, and the built-in ones: each way to an object that stays. */
const PROBE = `[function() { 1 }, $string ~> $string, $substring(?, 1), ${BUILT_IN.map((name) => `$${name}`).join(', ')}]`;

const INTRINSICS = new Set(ownValuesOf(globalThis));

export async function harden(): Promise<void> {
  const first = reachableFrom(await jsonata(PROBE, OPTIONS).evaluate({}));
  const second = reachableFrom(await jsonata(PROBE, OPTIONS).evaluate({}));
  for (const object of [...first].filter((one) => second.has(one))) {
    if ('_jsonata_function' in object) {
      ignoreCalls(object);
    }
    Object.freeze(object);
  }
  freezeForObjects(Object.prototype);
  freezeForSequences(Array.prototype);
  for (const { prototype } of [Function, String, Number, Boolean, Promise, RegExp, Date]) {
    Object.freeze(prototype);
  }
}

/** JSONata notes on a function where it was called last, and would fail if it could not. */
function ignoreCalls(definition: object): void {
  for (const name of ['token', 'position']) {
    Object.defineProperty(definition, name, { get: () => undefined, set: () => {} });
  }
}

/** @returns what is JSONata's; JavaScript's own is looked after below. */
function reachableFrom(root: object): Set<object> {
  const found = new Set<object>();
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (isObject(value) && !found.has(value) && !INTRINSICS.has(value)) {
      found.add(value);
      open.push(...ownValuesOf(value));
    }
  }
  return found;
}

function ownValuesOf(object: object): unknown[] {
  return Object.values(Object.getOwnPropertyDescriptors(object)).map((property): unknown => property.value);
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** A payload may have a field named "constructor", so objects must be able to take one that their prototype has frozen. */
function freezeForObjects(prototype: object): void {
  for (const [name, { value, configurable }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (configurable === true && value !== undefined) {
      Object.defineProperty(prototype, name, {
        get: () => value as unknown,
        set(this: object, own: unknown) {
          Object.defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true });
        },
      });
    }
  }
  Object.freeze(prototype);
}

/** JSONata gives its sequences a "push" of their own, and a setter for it would slow down every array. */
function freezeForSequences(prototype: object): void {
  for (const name of Reflect.ownKeys(prototype)) {
    if (name !== 'push' && name !== 'length') {
      Object.defineProperty(prototype, name, { writable: false, configurable: false });
    }
  }
  Object.preventExtensions(prototype);
}
