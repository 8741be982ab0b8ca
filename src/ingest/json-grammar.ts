/**
 * The grammar of RFC 8259 for a text that is one object, as a table of the next state or action for each state and byte.
 * Strings may contain any byte from 0x80 on: UTF-8 is checked separately.
 */

// Actions.
export const INVALID = 0;
export const OPEN_OBJECT = 1;
export const OPEN_ARRAY = 2;
export const CLOSE_OBJECT = 3;
export const CLOSE_ARRAY = 4;
export const COMMA = 5;
export const NOT_AN_OBJECT = 6;
/** The lowest state. Smaller numbers are actions. */
export const FIRST_STATE = 7;

export const START = 7;
/** The object has ended. */
export const END = 8;
export const VALUE = 9;
/** After `[`. */
export const VALUE_OR_CLOSE = 10;
export const KEY = 11;
/** After `{`. */
export const KEY_OR_CLOSE = 12;
const COLON = 13;
/** After a complete value. */
export const AFTER = 14;
/** A key is followed by a colon. */
const KEY_STRING = 15;
const STRING = 16;
const MINUS = 17;
const ZERO = 18;
const DIGITS = 19;
const POINT = 20;
const FRACTION = 21;
const EXPONENT = 22;
const EXPONENT_SIGN = 23;
const EXPONENT_DIGITS = 24;
/** First the escapes in keys, then those in other strings, then the rest of each literal. */
const ESCAPES = 25;
const ESCAPE_STATES = 5;
const LITERALS = ESCAPES + 2 * ESCAPE_STATES;
const STATES = LITERALS + 'rue'.length + 'alse'.length + 'ull'.length;

const SPACE = ' \t\n\r';
const DIGIT = '0123456789';
const HEXADECIMAL = `${DIGIT}abcdefABCDEF`;

/** The entry for a state and a byte is at `state * 256 + byte`. */
export const TABLE: Uint8Array = createTable();

function createTable(): Uint8Array {
  const table = new Uint8Array(STATES * 256);
  const on = (state: number, characters: string, next: number): void => {
    for (const character of characters) {
      table[state * 256 + character.charCodeAt(0)] = next;
    }
  };
  for (const state of [START, END, VALUE, AFTER, KEY, COLON, VALUE_OR_CLOSE, KEY_OR_CLOSE]) {
    on(state, SPACE, state);
  }
  on(START, '{', OPEN_OBJECT);
  on(START, `["-${DIGIT}tfn`, NOT_AN_OBJECT);
  on(KEY, '"', KEY_STRING);
  on(KEY_OR_CLOSE, '"', KEY_STRING);
  on(KEY_OR_CLOSE, '}', CLOSE_OBJECT);
  on(COLON, ':', VALUE);
  on(VALUE_OR_CLOSE, ']', CLOSE_ARRAY);
  afterValue(AFTER, on);
  for (const state of [VALUE, VALUE_OR_CLOSE]) {
    on(state, '{', OPEN_OBJECT);
    on(state, '[', OPEN_ARRAY);
    on(state, '"', STRING);
  }
  strings(table, on);
  numbers(on);
  literals(on);
  return table;
}

type On = (state: number, characters: string, next: number) => void;

function afterValue(state: number, on: On): void {
  on(state, SPACE, AFTER);
  on(state, ',', COMMA);
  on(state, '}', CLOSE_OBJECT);
  on(state, ']', CLOSE_ARRAY);
}

function strings(table: Uint8Array, on: On): void {
  for (const [index, string] of [KEY_STRING, STRING].entries()) {
    const escape = ESCAPES + index * ESCAPE_STATES;
    table.fill(string, string * 256 + 0x20, (string + 1) * 256);
    on(string, '\\', escape);
    on(string, '"', string === KEY_STRING ? COLON : AFTER);
    on(escape, '"\\/bfnrt', string);
    on(escape, 'u', escape + 1);
    for (const place of [1, 2, 3, 4]) {
      on(escape + place, HEXADECIMAL, place === 4 ? string : escape + place + 1);
    }
  }
}

/** Nothing marks the end of a number. It ends with the byte that follows the value. */
function numbers(on: On): void {
  for (const state of [VALUE, VALUE_OR_CLOSE, MINUS]) {
    on(state, DIGIT, DIGITS);
    on(state, '0', ZERO);
  }
  on(VALUE, '-', MINUS);
  on(VALUE_OR_CLOSE, '-', MINUS);
  for (const state of [ZERO, DIGITS, FRACTION, EXPONENT_DIGITS]) {
    afterValue(state, on);
  }
  on(DIGITS, DIGIT, DIGITS);
  for (const state of [ZERO, DIGITS]) {
    on(state, '.', POINT);
  }
  on(POINT, DIGIT, FRACTION);
  on(FRACTION, DIGIT, FRACTION);
  for (const state of [ZERO, DIGITS, FRACTION]) {
    on(state, 'eE', EXPONENT);
  }
  on(EXPONENT, '+-', EXPONENT_SIGN);
  for (const state of [EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS]) {
    on(state, DIGIT, EXPONENT_DIGITS);
  }
}

function literals(on: On): void {
  let state = LITERALS;
  for (const literal of ['true', 'false', 'null']) {
    on(VALUE, literal.charAt(0), state);
    on(VALUE_OR_CLOSE, literal.charAt(0), state);
    for (let at = 1; at < literal.length; at += 1) {
      on(state, literal.charAt(at), at === literal.length - 1 ? AFTER : state + 1);
      state += 1;
    }
  }
}
