/** So many in a time. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}
