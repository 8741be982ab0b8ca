import type { ServerResponse } from 'node:http';
import type { Request, RequestHandler } from 'express';
import { accountTokenOf } from '../access/authentication.ts';
import { HttpError, refuse } from '../access/http-error.ts';
import { type AccountQuota, clientAddressOf, type FailureLimit, TOO_MANY_FAILURES } from '../access/limits.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { IngestRequest } from './request.ts';

/**
 * Stores what a request brings.
 *
 * @returns the fields of the answer; `undefined` when no account has the token
 * @throws HttpError
 */
export type Receive = (request: IngestRequest) => Promise<object | undefined>;

interface IngestDependencies {
  readonly receive: Receive;
  /** `undefined` when accounts may send any number of events. */
  readonly quota: AccountQuota | undefined;
  /** `undefined` when failed attempts are not limited. */
  readonly failureLimit: FailureLimit | undefined;
  readonly telemetry: Telemetry;
}

/**
 * `POST /server/incoming_data`, and the same with `/batch` below it. The method is checked first, then the token, then the
 * rest. A sender without a valid token learns nothing else about its request.
 */
export function ingestRoute(dependencies: IngestDependencies): RequestHandler {
  return (request, response) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { Allow: 'POST' }).end();
      return;
    }
    authenticated(request, response, dependencies).then(
      (body) => accept(response, body),
      (error: unknown) =>
        refuse(request, response, error instanceof HttpError ? error : unavailable(error, dependencies.telemetry)),
    );
  };
}

/** Counts wrong tokens, and blocks those who guess them. @returns the answer's body */
async function authenticated(
  request: Request,
  response: ServerResponse,
  dependencies: IngestDependencies,
): Promise<string> {
  if (request.method !== 'POST') {
    throw HttpError.methodNotAllowed();
  }
  const token = accountTokenOf(request);
  const attempt = dependencies.failureLimit?.begin(clientAddressOf(request), token ?? '');
  if (attempt !== undefined && attempt.waitMs > 0) {
    throw HttpError.tooMany(TOO_MANY_FAILURES, attempt.waitMs);
  }
  try {
    const body = await ingest({ request, response, token }, dependencies);
    attempt?.succeeded();
    return body;
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) {
      attempt?.failed();
    }
    throw error;
  }
}

async function ingest(
  { request, response, token }: Omit<IngestRequest, 'token'> & { readonly token: string | undefined },
  { receive, quota }: IngestDependencies,
): Promise<string> {
  if (token === undefined) {
    throw HttpError.unauthenticated();
  }
  await quota?.take(token, (headers) => response.setHeaders(headers));
  const received = await receive({ request, response, token });
  if (received === undefined) {
    throw HttpError.unauthenticated();
  }
  return JSON.stringify({ success: true, message: 'Data Received', ...received });
}

function accept(response: ServerResponse, body: string): void {
  response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
}

function unavailable(error: unknown, telemetry: Telemetry): HttpError {
  telemetry.storageFailed('ingest', error);
  return HttpError.unavailable();
}
