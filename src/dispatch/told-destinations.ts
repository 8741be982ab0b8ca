import type { DestinationSource } from '../core/outgoing-request.ts';

/** How many destinations a thread is expected to know, and how much of them. */
const DESTINATIONS_MAX = 1_024;
const CHARACTERS_MAX = 4 * 1024 * 1024;

/** How a request names its destination to a thread. */
export interface Told {
  readonly slot: number;
  /** What the slot holds from now on; not told again. */
  readonly source: DestinationSource | undefined;
  /** What is not to be kept any more. */
  readonly emptied: readonly number[];
}

interface Entry {
  readonly slot: number;
  readonly version: number;
  readonly characters: number;
}

const NONE: readonly number[] = [];

/**
 * What one thread knows of destinations, in slots of a bounded number: each version of a destination travels once, and
 * only what was not asked for longest is dropped. Kept on the side that tells, so that both are always of one mind.
 */
export class ToldDestinations {
  /** The one used last is the last. */
  readonly #entries = new Map<string, Entry>();
  readonly #freeSlots: number[] = [];
  #characters = 0;
  #slots = 0;

  tell(source: DestinationSource): Told {
    const known = this.#entries.get(source.destinationId);
    if (known !== undefined) {
      this.#entries.delete(source.destinationId);
      if (known.version === source.destinationVersion) {
        this.#entries.set(source.destinationId, known);
        return { slot: known.slot, source: undefined, emptied: NONE };
      }
      this.#free(known);
    }
    return this.#tellNew(source);
  }

  #tellNew(source: DestinationSource): Told {
    const { destinationId, destinationVersion, url, httpMethod, headers, signingSecrets } = source;
    const characters = charactersOf(source);
    const emptied = this.#makeRoom(characters);
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    this.#characters += characters;
    this.#entries.set(destinationId, { slot, version: destinationVersion, characters });
    return {
      slot,
      source: { destinationId, destinationVersion, url, httpMethod, headers, signingSecrets },
      emptied: emptied.filter((other) => other !== slot),
    };
  }

  #makeRoom(characters: number): number[] {
    const emptied: number[] = [];
    for (const [destinationId, entry] of this.#entries) {
      if (this.#entries.size < DESTINATIONS_MAX && this.#characters + characters <= CHARACTERS_MAX) {
        break;
      }
      this.#entries.delete(destinationId);
      this.#free(entry);
      emptied.push(entry.slot);
    }
    return emptied;
  }

  #free({ slot, characters }: Entry): void {
    this.#freeSlots.push(slot);
    this.#characters -= characters;
  }
}

/** About how much of it there is, in the memory of a thread and in a message. */
export function charactersOf({ url, headers, signingSecrets }: DestinationSource): number {
  const texts = [url, headers.flat(2), signingSecrets.map(({ secret }) => secret)].flat();
  return texts.reduce((length, text) => length + text.length, 0);
}
