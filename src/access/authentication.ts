import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { EVERYTHING, type Scope } from '../core/scope.ts';
import { hashToken } from '../core/secrets.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { type PublicError, publicError, refuseGraphql, retryAfter } from './http-error.ts';
import { clientAddressOf, type FailureLimit, TOO_MANY_FAILURES } from './limits.ts';

/** The sender of a request: the administrator, who may do everything, or an account. */
export type Caller = Scope;

const ADMIN_TOKEN_HEADERS: readonly string[] = ['authorization'];
/** Senders use both spellings. */
const ACCOUNT_TOKEN_HEADERS: readonly string[] = ['cl-x-token', 'cl-xtoken'];

/** @returns the account token of a request to ingest; `undefined` when there is none, or more than one. */
export function accountTokenOf(request: IncomingMessage): string | undefined {
  const token = onlyOne(headerValues(request, ACCOUNT_TOKEN_HEADERS));
  return token === '' ? undefined : token;
}

/** Reads the raw list: Node drops or joins repeated headers, and a request with two tokens must not get to choose. */
function headerValues({ rawHeaders }: IncomingMessage, names: readonly string[]): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && names.includes((rawHeaders[at - 1] ?? '').toLowerCase()));
}

function onlyOne(values: readonly string[]): string | undefined {
  return values.length === 1 ? values[0] : undefined;
}

interface AuthenticatorOptions {
  readonly adminToken: string | undefined;
  readonly isExposed: boolean;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
}

/** Finds the caller of a request to the GraphQL API. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** Hashes are compared: they have one length, and how far two agree tells nothing about the tokens. */
  readonly #adminTokenHash: Buffer | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#adminTokenHash = options.adminToken === undefined ? undefined : Buffer.from(hashToken(options.adminToken));
  }

  /**
   * If `Authorization` is present, account tokens are ignored. A credential that is wrong or sent twice is refused, and no
   * other one is tried. Without ADMIN_TOKEN, a local request without credentials is the administrator's.
   *
   * @returns `undefined` for a request that may do nothing
   */
  async callerOf(request: IncomingMessage): Promise<Caller | undefined> {
    const authorization = headerValues(request, ADMIN_TOKEN_HEADERS);
    if (authorization.length > 0 && this.#adminTokenHash !== undefined) {
      return this.#isAdminToken(onlyOne(authorization)) ? EVERYTHING : undefined;
    }
    const accountTokens = headerValues(request, ACCOUNT_TOKEN_HEADERS);
    if (authorization.length === 0 && accountTokens.length > 0) {
      const token = onlyOne(accountTokens);
      const accountId = token === undefined ? undefined : await this.#options.accountIdOf(token);
      return accountId === undefined ? undefined : { accountId };
    }
    return this.#isOpenTo(request.headers.host) ? EVERYTHING : undefined;
  }

  #isAdminToken(authorization = ''): boolean {
    const token = BEARER.exec(authorization)?.groups?.['token'];
    return (
      token !== undefined &&
      this.#adminTokenHash !== undefined &&
      timingSafeEqual(Buffer.from(hashToken(token)), this.#adminTokenHash)
    );
  }

  /**
   * The host must be a name of this machine. A web page whose own name was pointed at this machine (DNS rebinding) has
   * the server's origin, so the browser lets it call; but the Host header still carries the page's name.
   */
  #isOpenTo(host: string | undefined): boolean {
    const isOpen = this.#adminTokenHash === undefined && !this.#options.isExposed;
    return isOpen && host !== undefined && LOCAL_NAME.test(host);
  }
}

const BEARER = /^Bearer +(?<token>\S+)$/iu;
const LOCAL_NAME = /^(?:localhost|[^:/@]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/iu;

interface AuthenticationOptions {
  readonly authenticator: Authenticator;
  /** Browsers may open the landing page without a token. */
  readonly hasLandingPage: boolean;
  /** `undefined` when failed attempts are not limited. */
  readonly failureLimit: FailureLimit | undefined;
  readonly telemetry: Telemetry;
}

/** Authenticates a request to the GraphQL API, once and before its body is read. */
export function authentication(options: AuthenticationOptions): RequestHandler {
  const { authenticator, hasLandingPage, failureLimit, telemetry } = options;
  return async (request, response, next) => {
    if (hasLandingPage && asksForPage(request)) {
      next();
      return;
    }
    const attempt = failureLimit?.begin(clientAddressOf(request), credentialsOf(request));
    if (attempt !== undefined && attempt.waitMs > 0) {
      refuseTooMany(request, response, attempt.waitMs);
      return;
    }
    let caller: Caller | undefined;
    try {
      caller = await authenticator.callerOf(request);
    } catch (error) {
      refuseForNow(request, response, publicError(telemetry, 'identify', error));
      return;
    }
    if (caller === undefined) {
      attempt?.failed();
      refuseUnauthenticated(request, response);
      return;
    }
    attempt?.succeeded();
    response.locals['caller'] = caller;
    next();
  };
}

/** @throws Error for a request without a caller: only the landing page needs none */
export function callerOf(response: Response): Caller {
  const caller = response.locals['caller'] as Caller | undefined;
  if (caller === undefined) {
    throw new Error('The request was not authenticated.');
  }
  return caller;
}

/** A browser's address bar sends no token. The page contains no data. */
function asksForPage(request: Request): boolean {
  const type = request.accepts('application/json', 'application/graphql-response+json', 'text/html');
  return request.method === 'GET' && type === 'text/html';
}

function credentialsOf(request: Request): string {
  return [...headerValues(request, ADMIN_TOKEN_HEADERS), ...headerValues(request, ACCOUNT_TOKEN_HEADERS)].join(' ');
}

function refuseUnauthenticated(request: Request, response: Response): void {
  const message =
    "Send the administrator's token as Authorization: Bearer, or an account's token as CL-X-TOKEN. Without ADMIN_TOKEN only this machine's own names, such as localhost, are open.";
  const headers = { 'WWW-Authenticate': 'Bearer' };
  refuseGraphql(request, response, { status: 401, message, code: 'UNAUTHENTICATED', headers });
}

function refuseTooMany(request: Request, response: Response, waitMs: number): void {
  const headers = retryAfter(waitMs);
  refuseGraphql(request, response, { status: 429, message: TOO_MANY_FAILURES, code: 'TOO_MANY_REQUESTS', headers });
}

function refuseForNow(request: Request, response: Response, { message, extensions: { code } }: PublicError): void {
  refuseGraphql(request, response, { status: 503, message, code, headers: retryAfter(5_000) });
}
