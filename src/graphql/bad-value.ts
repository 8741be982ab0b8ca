import { type ASTNode, type GraphQLError, Kind } from 'graphql';

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
  const field = missingField(error.message) ?? (isVariable ? fieldOfVariable(error.message) : fieldOfLiteral(value));
  const rule = (field === undefined ? undefined : RULES[field]) ?? ruleOf(field, error.message);
  return { message: rule, extensions: { code: 'BAD_USER_INPUT', ...(field !== undefined && { field }) } };
}

function ruleOf(field: string | undefined, message: string): string {
  const name = field === undefined ? 'value of a variable' : `field ${field}`;
  if (missingField(message) !== undefined) {
    return `The ${name} is required.`;
  }
  return /is not defined by type/.test(message)
    ? `The ${name} does not exist in this input.`
    : `The ${name} does not have the type that the schema asks for.`;
}

function missingField(message: string): string | undefined {
  return /Field "(?:\w+\.)?(\w+)" (?:of required type|is not defined by type)/.exec(message)?.[1];
}

// `Variable "$input" got invalid value "x" at "input.email"; ...` or, for a variable of its own, `Variable "$id" ...`
function fieldOfVariable(message: string): string | undefined {
  return /" at "(?:[\w[\]]+\.)*(\w+)[^"]*"; /.exec(message)?.[1] ?? /^Variable "\$(\w+)"/.exec(message)?.[1];
}

// The name stands before the colon before the value.
function fieldOfLiteral(value: ASTNode | undefined): string | undefined {
  const colon = value?.loc?.startToken.prev;
  return colon?.kind === ':' ? colon.prev?.value : undefined;
}
