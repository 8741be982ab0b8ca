import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError, Kind } from 'graphql';
import { publicError } from '../access/http-error.ts';
import { DomainError } from '../core/errors.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { type InputPath, pathInVariable, pathToLiteral } from './input-path.ts';
import { RefusedValue } from './scalars.ts';

/**
 * The one place where errors become answers. The caller sees a `DomainError`, and GraphQL's own errors about the query.
 * Other errors are logged and hidden.
 */
export function createFormatError(telemetry: Telemetry) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const cause = causeOf(error);
    if (error instanceof GraphQLError && !(cause instanceof DomainError) && isAboutTheRequest(formatted)) {
      return {
        ...locationOf(formatted),
        ...(badValue(error) ?? { message: formatted.message, extensions: codeOnly(formatted) }),
      };
    }
    return { ...locationOf(formatted), ...publicError(telemetry, 'graphql', cause) };
  };
}

/** Apollo recognises resolvers' errors by their path, and a query that was aborted as a whole has none. */
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

function locationOf({ locations, path }: GraphQLFormattedError) {
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

/** The rule for each field. GraphQL's own messages repeat the value, which may be a secret. */
const RULES: Readonly<Record<string, string>> = {
  email: 'The email must be a valid address.',
  headers: 'The headers must be a JSON object with at least one entry.',
  filter: 'The filter must be a JSON object.',
  eventTypes: 'The event types must be a list of strings; null stands for all.',
  httpMethod: 'The HTTP method must be one of GET, POST, PUT, PATCH, DELETE.',
  status: 'The status must be one of PENDING, SUCCEEDED, FAILED.',
  first: 'The page size must be a whole number.',
};

/**
 * GraphQL refuses a value of the wrong type in two ways: a literal when it validates the query, a variable when it
 * coerces it. For the caller both are bad input in a field.
 */
function badValue(error: GraphQLError): BadValue | undefined {
  const isVariable = error.extensions['code'] === 'BAD_USER_INPUT';
  const value = error.nodes?.[0];
  const isLiteral = value !== undefined && VALUE_KINDS.has(value.kind);
  if (!isVariable && !isLiteral) {
    return undefined;
  }
  const named = NAMED_FIELD.exec(error.message)?.groups;
  const place = isVariable ? pathInVariable(error.message) : pathToLiteral(value);
  const field = fieldAt(place, named?.['name']);
  const refused = refusedValueOf(error);
  return {
    message: refused === undefined ? ruleOf(field, named?.['fault']) : `The ${field ?? 'value'} ${refused.rule}`,
    extensions: { code: 'BAD_USER_INPUT', ...(field !== undefined && { field }) },
  };
}

/** Callers know what their argument or variable is called, so its name says nothing in front of a field. */
function fieldAt(place: InputPath, named: string | undefined): string | undefined {
  const [root, ...fields] = named === undefined ? place : [...place, named];
  return fields.length === 0 ? root : fields.join('.');
}

/** For a missing or unknown field, GraphQL reports the position of the whole input. */
const NAMED_FIELD = /Field "(?:\w+\.)?(?<name>\w+)" (?<fault>of required type|is not defined by type)/;

/** The error of one of our scalars, inside GraphQL's own errors. */
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

/** A foreign key guarantees the row. It is missing only if it was deleted while the query ran. */
export function requireRow<Row>(row: Row | undefined, what: Parameters<typeof DomainError.notFound>[0]): Row {
  if (row === undefined) {
    throw DomainError.notFound(what);
  }
  return row;
}
