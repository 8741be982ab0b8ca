import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { DomainError } from '../core/errors.ts';
import type { Facts } from '../observe/facts.ts';
import { badValue } from './bad-value.ts';

const INTERNAL: GraphQLFormattedError = {
  message: 'Internal server error',
  extensions: { code: 'INTERNAL_SERVER_ERROR' },
};

/**
 * The one place where failures become answers. What a caller may know is in a `DomainError` or in what
 * GraphQL itself says of the query; everything else is opaque, and logged.
 */
export function createFormatError(facts: Facts) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const cause = unwrapResolverError(error);
    if (cause instanceof DomainError && cause.code !== 'STORAGE_UNAVAILABLE') {
      const extensions = { code: cause.code, ...(cause.field !== undefined && { field: cause.field }) };
      return { ...where(formatted), message: cause.message, extensions };
    }
    if (error instanceof GraphQLError && isAboutTheRequest(formatted)) {
      return {
        ...where(formatted),
        ...(badValue(error) ?? { message: formatted.message, extensions: codeOnly(formatted) }),
      };
    }
    facts.unexpectedError('graphql', cause);
    return { ...where(formatted), ...INTERNAL };
  };
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
