import type { IncomingMessage } from 'node:http';

const TOKEN_HEADERS: ReadonlySet<string> = new Set(['cl-x-token', 'cl-xtoken']);

/**
 * The one token of a request. Read from the raw header list, because Node joins repeated headers into one
 * value, and a request with two tokens is not allowed to choose.
 */
export function tokenOf(request: IncomingMessage): string | undefined {
  const { rawHeaders } = request;
  let token: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (TOKEN_HEADERS.has((rawHeaders[at] as string).toLowerCase())) {
      if (token !== undefined) {
        return undefined;
      }
      token = (rawHeaders[at + 1] as string).trim();
    }
  }
  return token === '' ? undefined : token;
}
