import { isUtf8 } from 'node:buffer';
import { HttpError } from '../access/http-error.ts';
import { type BodyCheck, detailOf, JsonCheck, type JsonFault } from './payload-check.ts';

export const BATCH_EVENTS_MAX = 1_000;

const LINE_FEED = 0x0a;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;

/**
 * Checks chunk by chunk that a body is a batch of JSON objects, and finds where each begins and ends. Each object is
 * checked as a single event is. Nothing is parsed, so the events keep their bytes.
 */
export abstract class BatchCheck implements BodyCheck {
  readonly #eventBytesMax: number;
  /** Where each event begins and ends in the body. */
  readonly #bounds: [start: number, end: number][] = [];
  /** Of the event that is not complete yet. */
  #json: JsonCheck | undefined;
  #start = 0;
  /** The bytes of the chunks before this one. */
  #before = 0;

  /** @param eventBytesMax the largest event */
  constructor(eventBytesMax: number) {
    this.#eventBytesMax = eventBytesMax;
  }

  write(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      at = this.#json === undefined ? this.#between(bytes, at) : this.#within(this.#json, bytes, at);
    }
    this.#before += bytes.length;
  }

  end(bytes: Buffer): void {
    if (this.#json !== undefined) {
      throw this.fault('NOT_JSON');
    }
    this.requireEnd();
    if (this.#bounds.length === 0) {
      throw HttpError.invalid('The batch is empty; it must have at least one event.');
    }
    if (!isUtf8(bytes)) {
      // Between events there is only ASCII, so the fault is in one of them.
      const index = this.events(bytes).findIndex((event) => !isUtf8(event));
      throw HttpError.invalidEvent('The event is not valid UTF-8.', index);
    }
  }

  /** @param bytes the whole body, after it was checked */
  events(bytes: Buffer): Buffer[] {
    return this.#bounds.map(([start, end]) => bytes.subarray(start, end));
  }

  /** The number of events that are complete. */
  protected get count(): number {
    return this.#bounds.length;
  }

  /** @returns the error of the event that follows the complete ones */
  protected fault(fault: JsonFault): HttpError {
    return HttpError.invalidEvent(detailOf(fault, 'The event'), this.count);
  }

  /**
   * Takes a byte between events.
   *
   * @returns true if an event begins with it
   * @throws HttpError 400
   */
  protected abstract beginsEvent(byte: number): boolean;

  /** Where an event that goes on at `at` must have ended. */
  protected abstract limitOf(bytes: Buffer, at: number): number;

  /** @throws HttpError 400 if the text between the events is not complete */
  protected abstract requireEnd(): void;

  #between(bytes: Buffer, at: number): number {
    if (!this.beginsEvent(bytes[at] as number)) {
      return at + 1;
    }
    if (this.count === BATCH_EVENTS_MAX) {
      throw HttpError.tooManyEvents(BATCH_EVENTS_MAX);
    }
    this.#json = new JsonCheck();
    this.#start = this.#before + at;
    return at;
  }

  #within(json: JsonCheck, bytes: Buffer, from: number): number {
    const limit = this.limitOf(bytes, from);
    const at = json.writeObject(bytes, from, limit);
    if (json.fault !== undefined) {
      throw this.fault(json.fault);
    }
    const end = this.#before + at;
    if (end - this.#start > this.#eventBytesMax) {
      throw HttpError.eventTooLarge(this.#eventBytesMax, this.count);
    }
    if (json.isComplete) {
      this.#bounds.push([this.#start, end]);
      this.#json = undefined;
    } else if (at < bytes.length) {
      throw this.fault('NOT_JSON');
    }
    return at;
  }
}

const NOT_A_LIST =
  'The body must be a JSON array of objects, or with the content type application/x-ndjson one object a line.';

/** A JSON array of objects. */
export class ArrayCheck extends BatchCheck {
  #next: 'array' | 'first' | 'event' | 'comma' | 'nothing' = 'array';

  protected override beginsEvent(byte: number): boolean {
    if (isSpace(byte)) {
      return false;
    }
    if (this.#next === 'array' && byte === OPEN) {
      this.#next = 'first';
      return false;
    }
    if ((this.#next === 'first' || this.#next === 'comma') && byte === CLOSE) {
      this.#next = 'nothing';
      return false;
    }
    if (this.#next === 'comma' && byte === COMMA) {
      this.#next = 'event';
      return false;
    }
    if (this.#next === 'first' || this.#next === 'event') {
      this.#next = 'comma';
      return true;
    }
    throw HttpError.invalid(this.#next === 'array' ? NOT_A_LIST : detailOf('NOT_JSON', 'The body'));
  }

  protected override limitOf(bytes: Buffer): number {
    return bytes.length;
  }

  protected override requireEnd(): void {
    if (this.#next !== 'nothing') {
      throw HttpError.invalid(this.#next === 'array' ? NOT_A_LIST : detailOf('NOT_JSON', 'The body'));
    }
  }
}

/** One object a line, as in NDJSON. Blank lines are passed over. */
export class LinesCheck extends BatchCheck {
  #lineHasEvent = false;

  protected override beginsEvent(byte: number): boolean {
    if (byte === LINE_FEED) {
      this.#lineHasEvent = false;
      return false;
    }
    if (isSpace(byte)) {
      return false;
    }
    if (this.#lineHasEvent) {
      throw HttpError.invalidEvent('A line must have one JSON object and nothing else.', this.count - 1);
    }
    this.#lineHasEvent = true;
    return true;
  }

  protected override limitOf(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LINE_FEED, at);
    return end === -1 ? bytes.length : end;
  }

  protected override requireEnd(): void {}
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === LINE_FEED || byte === 0x0d || byte === 0x09;
}
