import type { Refusal } from './refusal.ts';

/** Memory that is held for one body. */
export interface Holding {
  /** Is told why, when the memory is taken back before the body is here. */
  onTakenBack: (cause: Refusal) => void;
  /** So many bytes of the body have come. */
  add(bytes: number): void;
  /** The body is here whole: it is not taken back any more. */
  arrived(): void;
  /** Must be called in the end. May be called again. */
  free(): void;
}
