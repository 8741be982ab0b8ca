/** What the thread of a connection is begun with. */
export interface Opening {
  readonly path: string;
  readonly isForReading: boolean;
}

/** What the main thread and the thread of the connection say to each other. Replies come in the order of requests. */
export type Request =
  | { readonly kind: 'statement'; readonly statement: PlainStatement }
  /** All of them between `begin` and `commit`, or none. */
  | { readonly kind: 'transaction'; readonly statements: readonly PlainStatement[] }
  | { readonly kind: 'close' };

export interface PlainStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export interface StatementResult {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

export type Reply =
  | { readonly results: readonly StatementResult[] }
  | { readonly message: string; readonly code: string | undefined };
