type ErrorCode =
  | 'BAD_USER_INPUT'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'TOO_EXPENSIVE'
  | 'TOO_MANY_REQUESTS'
  | 'STORAGE_UNAVAILABLE';

/** A failure that the caller may see: a stable code and a sentence. Private details go in `cause`. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  /** The invalid input field, if any. */
  readonly field: string | undefined;

  private constructor(code: ErrorCode, message: string, details: { field?: string; cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.field = details.field;
  }

  /** @param rule a sentence that says what is allowed, without the value, which may be a secret */
  static badInput(field: string, rule: string): DomainError {
    return new DomainError('BAD_USER_INPUT', rule, { field });
  }

  static notFound(what: 'account' | 'destination' | 'event' | 'delivery'): DomainError {
    return new DomainError('NOT_FOUND', `There is no ${what} with this id.`);
  }

  static forbidden(message: string): DomainError {
    return new DomainError('FORBIDDEN', message);
  }

  static conflict(message: string, field?: string): DomainError {
    return new DomainError('CONFLICT', message, field === undefined ? {} : { field });
  }

  static tooExpensive(message: string): DomainError {
    return new DomainError('TOO_EXPENSIVE', message);
  }

  static tooManyRequests(message: string): DomainError {
    return new DomainError('TOO_MANY_REQUESTS', message);
  }

  static storageUnavailable(cause: unknown): DomainError {
    return new DomainError('STORAGE_UNAVAILABLE', 'The database is unavailable; try again later.', {
      cause,
    });
  }
}
