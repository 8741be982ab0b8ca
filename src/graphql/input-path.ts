import type { ASTNode, Token } from 'graphql';

/** The names down to a value: that of the argument or the variable, and those of the fields in it. */
export type InputPath = readonly string[];

// `Variable "$input" got invalid value 5 at "input.policy.stopOn[0]"; ...` or, for a variable of its own,
// `Variable "$id" ...`. Quotes inside a value are escaped, so no text in it can look like the position.
const PLACE = / at "([\w.[\]]+)"; /;
const VARIABLE = /^Variable "\$(\w+)"/;

/** @param message GraphQL's own, about the value of a variable */
export function pathInVariable(message: string): InputPath {
  const path = PLACE.exec(message)?.[1] ?? VARIABLE.exec(message)?.[1];
  return path === undefined ? [] : path.replaceAll(/\[\d+\]/g, '').split('.');
}

/** Reads backwards from a literal, because its node does not know what it stands in. */
export function pathToLiteral(value: ASTNode | undefined): InputPath {
  const path: string[] = [];
  let token = value?.loc?.startToken.prev;
  while (token) {
    if (token.kind === ':') {
      const name: Token | null = token.prev;
      path.unshift(name?.value ?? '');
      token = name?.prev;
    }
    const opening = openingBefore(token);
    // Before the bracket of a list or an object stands its name, and the parenthesis encloses the arguments.
    token = opening?.kind === '(' ? null : opening?.prev;
  }
  return path;
}

const OPENING: ReadonlySet<string> = new Set(['{', '[', '(']);
const CLOSING: ReadonlySet<string> = new Set(['}', ']', ')']);

/** The bracket that is open after a token. */
function openingBefore(from: Token | null | undefined): Token | null {
  let token = from ?? null;
  let closed = 0;
  while (token && !(closed === 0 && OPENING.has(token.kind))) {
    if (CLOSING.has(token.kind)) {
      closed += 1;
    } else if (OPENING.has(token.kind)) {
      closed -= 1;
    }
    token = token.prev;
  }
  return token;
}
