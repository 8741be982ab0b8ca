/** The benchmark was asked for what it cannot do; the message says what it needs. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
