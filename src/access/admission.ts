import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import type { Caller, Credentials, Identify } from './caller.ts';
import { type PublicError, publicError } from '../graphql/errors.ts';
import { clientAddressOf, type FailureLimit, TOO_MANY_FAILURES } from './limits.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { refuseGraphql } from './http-error.ts';

export interface AdmissionDependencies {
  readonly identify: Identify;
  /** Whether anyone may open the page that a browser is shown. */
  readonly hasLandingPage: boolean;
  /** Absent where tokens may be tried without end. */
  readonly failureLimit: FailureLimit | undefined;
  readonly telemetry: Telemetry;
}

/** Decides who sends a request, once and before its body is read. Whoever is nobody gets no further. */
export function admission(dependencies: AdmissionDependencies): RequestHandler {
  const { identify, hasLandingPage, failureLimit, telemetry } = dependencies;
  return async (request, response, next) => {
    if (hasLandingPage && asksForPage(request)) {
      next();
      return;
    }
    const credentials = credentialsOf(request);
    const visit = failureLimit?.visit(clientAddressOf(request), textOf(credentials));
    if (visit !== undefined && visit.waitMs > 0) {
      refuseTooMany(request, response, visit.waitMs);
      return;
    }
    try {
      response.locals['caller'] = await identify(credentials);
    } catch (error) {
      refuseForNow(request, response, publicError(telemetry, 'identify', error));
      return;
    }
    if (response.locals['caller'] === undefined) {
      visit?.failed();
      refuseNobody(request, response);
      return;
    }
    visit?.succeeded();
    next();
  };
}

/** @throws Error for a request that has no caller: only the page is for everyone. */
export function callerOf(response: Response): Caller {
  const caller = response.locals['caller'] as Caller | undefined;
  if (caller === undefined) {
    throw new Error('The request has come past the admission.');
  }
  return caller;
}

/** A browser's address bar sends no token; the page has none of the data. */
function asksForPage(request: Request): boolean {
  const type = request.accepts('application/json', 'application/graphql-response+json', 'text/html');
  return request.method === 'GET' && type === 'text/html';
}

const ACCOUNT_TOKEN_HEADERS = ['cl-x-token', 'cl-xtoken'];

function credentialsOf(request: IncomingMessage): Credentials {
  return {
    authorization: valuesOf(request, ['authorization']),
    accountToken: valuesOf(request, ACCOUNT_TOKEN_HEADERS),
    host: request.headers.host,
  };
}

function textOf({ authorization, accountToken }: Credentials): string {
  return [...authorization, ...accountToken].join(' ');
}

/** From the raw list, because Node drops or joins headers that are repeated. */
function valuesOf({ rawHeaders }: IncomingMessage, names: readonly string[]): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && names.includes((rawHeaders[at - 1] as string).toLowerCase()));
}

function refuseNobody(request: Request, response: Response): void {
  const message =
    "Send the administrator's token as Authorization: Bearer, or an account's token as CL-X-TOKEN. Without ADMIN_TOKEN only this machine's own names, such as localhost, are open.";
  const headers = { 'WWW-Authenticate': 'Bearer' };
  refuseGraphql(request, response, { status: 401, message, code: 'UNAUTHENTICATED', headers });
}

function refuseTooMany(request: Request, response: Response, waitMs: number): void {
  const headers = { 'Retry-After': Math.ceil(waitMs / 1_000).toString() };
  refuseGraphql(request, response, { status: 429, message: TOO_MANY_FAILURES, code: 'TOO_MANY_REQUESTS', headers });
}

function refuseForNow(request: Request, response: Response, { message, extensions: { code } }: PublicError): void {
  refuseGraphql(request, response, { status: 503, message, code, headers: { 'Retry-After': '5' } });
}
