import { unwrapResolverError } from '@apollo/server/errors';
import { type ASTNode, GraphQLError, type GraphQLFormattedError, Kind } from 'graphql';
import { publicError } from '../access/http-error.ts';
import { DomainError } from '../core/errors.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { RefusedValue } from './scalars.ts';

/**
 * The one place where failures become answers. What a caller may know is in a `DomainError` or in what
 * GraphQL itself says of the query; everything else is opaque, and logged.
 */
export function createFormatError(telemetry: Telemetry) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const cause = causeOf(error);
    if (error instanceof GraphQLError && !(cause instanceof DomainError) && isAboutTheRequest(formatted)) {
      return {
        ...where(formatted),
        ...(badValue(error) ?? { message: formatted.message, extensions: codeOnly(formatted) }),
      };
    }
    return { ...where(formatted), ...publicError(telemetry, 'graphql', cause) };
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

interface BadValue {
  readonly message: string;
  readonly extensions: { readonly code: 'BAD_USER_INPUT'; readonly field?: string };
}

const VALUE_KINDS: ReadonlySet<string> = new Set([
  Kind.INT,
  Kind.FLOAT,
  Kind.STRING,
  Kind.BOOLEAN,
  Kind.NULL,
  Kind.ENUM,
  Kind.LIST,
  Kind.OBJECT,
  Kind.OBJECT_FIELD,
]);

/** What each type allows, in our words: GraphQL's own messages repeat the value, which may be a secret. */
const RULES: Readonly<Record<string, string>> = {
  email: 'The email must be a valid address.',
  headers: 'The headers must be a JSON object with at least one entry.',
  httpMethod: 'The HTTP method must be one of GET, POST, PUT, PATCH, DELETE.',
  status: 'The status must be one of PENDING, SUCCEEDED, FAILED.',
  first: 'The page size must be a whole number.',
};

/**
 * GraphQL refuses a value of the wrong type in two ways: as a literal when the query is validated, as a
 * variable when it is coerced. To a caller both are bad input in a field.
 */
export function badValue(error: GraphQLError): BadValue | undefined {
  const isVariable = error.extensions['code'] === 'BAD_USER_INPUT';
  const value = error.nodes?.[0];
  const isLiteral = value !== undefined && VALUE_KINDS.has(value.kind);
  if (!isVariable && !isLiteral) {
    return undefined;
  }
  const named = NAMED_FIELD.exec(error.message)?.groups;
  const field = named?.['name'] ?? (isVariable ? fieldOfVariable(error.message) : fieldOfLiteral(value));
  const refused = refusedValueOf(error);
  return {
    message: refused === undefined ? ruleOf(field, named?.['fault']) : `The ${field ?? 'value'} ${refused.rule}`,
    extensions: { code: 'BAD_USER_INPUT', ...(field !== undefined && { field }) },
  };
}

/** A field that is missing, or that the input does not have; GraphQL blames the whole input. */
const NAMED_FIELD = /Field "(?:\w+\.)?(?<name>\w+)" (?<fault>of required type|is not defined by type)/;

/** What a scalar of ours said, under the errors that GraphQL has put around it. */
function refusedValueOf(error: GraphQLError): RefusedValue | undefined {
  let cause: Error | undefined = error;
  while (cause instanceof GraphQLError) {
    cause = cause.originalError;
  }
  return cause instanceof RefusedValue ? cause : undefined;
}

function ruleOf(field: string | undefined, fault: string | undefined): string {
  const known = field === undefined ? undefined : RULES[field];
  if (known !== undefined) {
    return known;
  }
  const name = field === undefined ? 'value of a variable' : `field ${field}`;
  if (fault === undefined) {
    return `The ${name} does not have the type that the schema asks for.`;
  }
  return fault === 'of required type' ? `The ${name} is required.` : `The ${name} does not exist in this input.`;
}

// `Variable "$input" got invalid value 5 at "input.email"; ...` or, for a variable of its own, `Variable "$id" ...`.
// Quotes within a value are escaped, so that no text in it looks like the place.
function fieldOfVariable(message: string): string | undefined {
  const place = / at "(?:[\w.[\]]*\.)?(\w+)(?:\[\d+\])*"; /;
  return place.exec(message)?.[1] ?? /^Variable "\$(\w+)"/.exec(message)?.[1];
}

// The name stands before the colon before the value.
function fieldOfLiteral(value: ASTNode | undefined): string | undefined {
  const colon = value?.loc?.startToken.prev;
  return colon?.kind === ':' ? colon.prev?.value : undefined;
}

/** For what a foreign key promises: it can only be missing when it was deleted while the query ran. */
export function stillThere<Row>(row: Row | undefined, what: Parameters<typeof DomainError.notFound>[0]): Row {
  if (row === undefined) {
    throw DomainError.notFound(what);
  }
  return row;
}
