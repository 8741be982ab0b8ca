import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler } from 'express';
import { accountTokenOf } from '../access/authentication.ts';
import { HttpError, refuse } from '../access/http-error.ts';
import { type AccountQuota, clientAddressOf, type FailureLimit, TOO_MANY_FAILURES } from '../access/limits.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import type { Acceptance, AcceptEvent, IncomingEvent } from './accept-event.ts';
import type { Bodies, Body } from './body.ts';
import { checkContentType, eventTypeOf, hopsOf, idempotencyKeyOf } from './headers.ts';

interface IngestDependencies {
  readonly acceptEvent: AcceptEvent;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
  readonly bodies: Bodies;
  /** `undefined` when accounts may send any number of events. */
  readonly quota: AccountQuota | undefined;
  /** `undefined` when failed attempts are not limited. */
  readonly failureLimit: FailureLimit | undefined;
  readonly telemetry: Telemetry;
}

/**
 * `POST /server/incoming_data`. The method is checked first, then the token, then the rest. A sender without a valid
 * token learns nothing else about its request.
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

interface IngestRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly token: string | undefined;
}

async function ingest({ request, response, token }: IngestRequest, dependencies: IngestDependencies): Promise<string> {
  const { acceptEvent, quota } = dependencies;
  if (token === undefined) {
    throw HttpError.unauthenticated();
  }
  await quota?.take(token, (headers) => response.setHeaders(headers));
  const { body, ...head } = await readEvent(request, token, dependencies);
  let accepted: Acceptance | undefined;
  try {
    accepted = await acceptEvent({ token, payload: body.bytes, ...head });
  } finally {
    body.release();
  }
  if (accepted === undefined) {
    throw HttpError.unauthenticated();
  }
  return JSON.stringify({ success: true, message: 'Data Received', ...accepted });
}

interface EventRead extends Omit<IncomingEvent, 'token' | 'payload'> {
  readonly body: Body;
}

async function readEvent(
  request: IncomingMessage,
  token: string,
  { accountIdOf, bodies }: IngestDependencies,
): Promise<EventRead> {
  const isKnown = async () => (await accountIdOf(token)) !== undefined;
  try {
    const head = { idempotencyKey: idempotencyKeyOf(request), hops: hopsOf(request), type: eventTypeOf(request) };
    checkContentType(request.headers['content-type']);
    return { ...head, body: await bodies.read(request, { token, isKnown }) };
  } catch (error) {
    // The token is normally checked by the statement that stores the event. A refused request never reaches it.
    throw !tellsDetails(error) || (await isKnown()) ? error : HttpError.unauthenticated();
  }
}

/** Only senders with a valid token may see these errors. */
function tellsDetails(error: unknown): boolean {
  return error instanceof HttpError && error.status !== 401 && error.status !== 503;
}

function accept(response: ServerResponse, body: string): void {
  response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
}

function unavailable(error: unknown, telemetry: Telemetry): HttpError {
  telemetry.storageFailed('ingest', error);
  return HttpError.unavailable();
}
