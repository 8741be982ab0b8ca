import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { DomainError } from '../core/errors.ts';
import type { Facts } from '../observe/facts.ts';
import { isOutage } from '../storage/outage.ts';
import { badValue } from './bad-value.ts';

/** What a caller is told of a failure. */
export interface PublicError {
  readonly message: string;
  readonly extensions: { readonly code: string; readonly field?: string };
}

const INTERNAL: PublicError = { message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

/**
 * The one place where failures become answers. What a caller may know is in a `DomainError` or in what
 * GraphQL itself says of the query; everything else is opaque, and logged.
 */
export function createFormatError(facts: Facts) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const cause = causeOf(error);
    if (error instanceof GraphQLError && !(cause instanceof DomainError) && isAboutTheRequest(formatted)) {
      return {
        ...where(formatted),
        ...(badValue(error) ?? { message: formatted.message, extensions: codeOnly(formatted) }),
      };
    }
    return { ...where(formatted), ...publicError(facts, 'graphql', cause) };
  };
}

/**
 * An outage of the database is told to the operator as what it is, and not as often as it is met.
 *
 * @param during what the program was about, for the log
 */
export function publicError(facts: Facts, during: string, cause: unknown): PublicError {
  const known = isOutage(cause) ? DomainError.storageUnavailable(cause) : cause;
  if (!(known instanceof DomainError)) {
    facts.unexpectedError(during, cause);
    return INTERNAL;
  }
  if (known.code === 'STORAGE_UNAVAILABLE') {
    facts.storageFailed(during, known.cause);
  }
  return {
    message: known.message,
    extensions: { code: known.code, ...(known.field !== undefined && { field: known.field }) },
  };
}

/** A query that is given up as a whole has no path, by which resolvers' errors are known. */
function causeOf(error: unknown): unknown {
  return error instanceof GraphQLError && error.originalError instanceof DomainError
    ? error.originalError
    : unwrapResolverError(error);
}

function isAboutTheRequest({ extensions }: GraphQLFormattedError): boolean {
  const code = extensions?.['code'];
  return code !== undefined && code !== 'INTERNAL_SERVER_ERROR';
}

function codeOnly({ extensions }: GraphQLFormattedError): Record<string, unknown> {
  return { code: extensions?.['code'] };
}

function where({ locations, path }: GraphQLFormattedError) {
  return { ...(locations && { locations }), ...(path && { path }) };
}
