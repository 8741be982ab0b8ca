import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { EVERYTHING, type Scope } from '../core/scope.ts';
import { hashToken } from '../core/secrets.ts';

/** Whoever has sent a request: the administrator, to whom belongs everything, or an account. */
export type Caller = Scope;

/** What a request brings along to say who sends it: the values of its headers, as many as were sent. */
export interface Credentials {
  readonly authorization: readonly string[];
  readonly accountToken: readonly string[];
  /** The name that it was sent to. */
  readonly host: string | undefined;
}

/** @returns `undefined` for a request that may do nothing. */
export type Identify = (credentials: Credentials) => Promise<Caller | undefined>;

export interface IdentifyDependencies {
  readonly adminToken: string | undefined;
  readonly isExposed: boolean;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
}

/**
 * An Authorization header decides alone, then an account's token; what is wrong or sent twice is never passed
 * over for something else. A request with neither is the administrator's where there is no ADMIN_TOKEN, on
 * this machine only.
 */
export function createIdentify({ adminToken, isExposed, accountIdOf }: IdentifyDependencies): Identify {
  const isAdministrator = adminToken === undefined ? undefined : createTokenCheck(adminToken);
  const isOpenTo = (host: string | undefined) => isAdministrator === undefined && !isExposed && isLocalName(host);
  return async ({ authorization, accountToken, host }) => {
    if (authorization.length > 0 && isAdministrator !== undefined) {
      return authorization.length === 1 && isAdministrator(authorization[0] as string) ? EVERYTHING : undefined;
    }
    if (authorization.length === 0 && accountToken.length > 0) {
      const accountId = accountToken.length === 1 ? await accountIdOf(accountToken[0] as string) : undefined;
      return accountId === undefined ? undefined : { accountId };
    }
    return isOpenTo(host) ? EVERYTHING : undefined;
  };
}

const BEARER = /^Bearer +(?<token>\S+)$/iu;

/** Hashes are compared, because they have one length, and how far they agree says nothing of the tokens. */
function createTokenCheck(token: string): (authorization: string) => boolean {
  const expected = Buffer.from(hashToken(token));
  return (authorization) => {
    const sent = BEARER.exec(authorization)?.groups?.['token'];
    return sent !== undefined && timingSafeEqual(Buffer.from(hashToken(sent)), expected);
  };
}

const LOCAL_NAME = /^(?:localhost|[^:/@]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/iu;

/**
 * A web page whose own name was turned to this machine (DNS rebinding) is of one origin with the server, and
 * no rule of the browser's holds it back; but the name that it sends stays its own.
 */
function isLocalName(host: string | undefined): boolean {
  return host !== undefined && LOCAL_NAME.test(host);
}

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
