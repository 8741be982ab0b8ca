/** The length up to which the engine's own search takes a time in proportion to the text's, whatever they are. */
const HEAD_LENGTH = 32;

/**
 * Looks for one string in others, in a time in proportion to their length. The engine's own search is faster in
 * almost every text, but there are pairs for which it takes the product of both lengths: 5 s for 8,000 characters in
 * 1 MiB. So it looks for the head alone, and where heads without the rest are too frequent, the algorithm of Knuth,
 * Morris and Pratt takes over.
 */
export class Substring {
  readonly #text: string;
  readonly #head: string;
  /** Made when it is first needed. */
  #rest: Automaton | undefined;

  /** @param text of at most 65,535 characters */
  constructor(text: string) {
    this.#text = text;
    this.#head = text.slice(0, HEAD_LENGTH);
  }

  isIn(text: string): boolean {
    if (this.#text.length <= HEAD_LENGTH) {
      return text.includes(this.#text);
    }
    const last = text.length - this.#text.length;
    let compared = 0;
    let at = text.indexOf(this.#head);
    while (at !== -1 && at <= last) {
      if (text.startsWith(this.#text, at)) {
        return true;
      }
      compared += this.#text.length;
      if (compared > text.length) {
        return this.#isFrom(at + 1, text);
      }
      at = text.indexOf(this.#head, at + 1);
    }
    return false;
  }

  #isFrom(start: number, text: string): boolean {
    this.#rest ??= new Automaton(this.#text);
    return this.#rest.isFrom(start, text);
  }
}

/** Reads each character once, and never goes back. */
class Automaton {
  readonly #units: Uint16Array;
  /** `[n]`: how many characters still match when n did and the next one does not. */
  readonly #fallbacks: Uint16Array;

  constructor(text: string) {
    this.#units = Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
    this.#fallbacks = new Uint16Array(text.length + 1);
    for (let at = 1, matched = 0; at < text.length; at += 1) {
      matched = this.#after(matched, text.charCodeAt(at));
      this.#fallbacks[at + 1] = matched;
    }
  }

  isFrom(start: number, text: string): boolean {
    const { length } = this.#units;
    let matched = 0;
    for (let at = start; at < text.length && matched < length; at += 1) {
      matched = this.#after(matched, text.charCodeAt(at));
    }
    return matched === length;
  }

  #after(before: number, unit: number): number {
    let matched = before;
    while (matched > 0 && this.#units[matched] !== unit) {
      matched = this.#fallbacks[matched] ?? 0;
    }
    return this.#units[matched] === unit ? matched + 1 : matched;
  }
}
