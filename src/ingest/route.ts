import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler } from 'express';
import type { Telemetry } from '../observe/telemetry.ts';
import type { Acceptance, AcceptEvent, Incoming } from './accept-event.ts';
import { type AccountQuota, clientAddressOf, type FailureLimit, TOO_MANY_FAILURES } from '../access/limits.ts';
import type { Bodies, Body } from './body.ts';
import { checkContentType, hopsOf, idempotencyKeyOf } from './headers.ts';
import { HttpError, refuse } from '../access/http-error.ts';
import { tokenOf } from '../access/caller.ts';

export interface IngestDependencies {
  readonly acceptEvent: AcceptEvent;
  readonly knowsToken: (token: string) => Promise<boolean>;
  readonly bodies: Bodies;
  /** Absent where accounts may send as much as they like. */
  readonly quota: AccountQuota | undefined;
  /** Absent where tokens may be tried without end. */
  readonly failureLimit: FailureLimit | undefined;
  readonly telemetry: Telemetry;
}

/**
 * `POST /server/incoming_data`. The method is judged first, then the token, then the rest: who may not send
 * learns nothing of what is wrong with it.
 */
export function ingestRoute(dependencies: IngestDependencies): RequestHandler {
  return (request, response) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { Allow: 'POST' }).end();
      return;
    }
    limited(request, response, dependencies).then(
      (body) => answer(response, body),
      (error: unknown) =>
        refuse(request, response, error instanceof HttpError ? error : unavailable(error, dependencies.telemetry)),
    );
  };
}

/** Whoever tries tokens is not listened to for a while. */
async function limited(request: Request, response: ServerResponse, dependencies: IngestDependencies): Promise<string> {
  if (request.method !== 'POST') {
    throw HttpError.methodNotAllowed();
  }
  const token = tokenOf(request);
  const visit = dependencies.failureLimit?.visit(clientAddressOf(request), token ?? '');
  if (visit !== undefined && visit.waitMs > 0) {
    throw HttpError.tooMany(TOO_MANY_FAILURES, visit.waitMs);
  }
  try {
    const body = await ingest({ request, response, token }, dependencies);
    visit?.succeeded();
    return body;
  } catch (error) {
    if (error instanceof HttpError && error.status === 401) {
      visit?.failed();
    }
    throw error;
  }
}

interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly token: string | undefined;
}

async function ingest({ request, response, token }: Arrival, dependencies: IngestDependencies): Promise<string> {
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
    body.free();
  }
  if (accepted === undefined) {
    throw HttpError.unauthenticated();
  }
  return JSON.stringify({ success: true, message: 'Data Received', ...accepted });
}

interface EventRead extends Omit<Incoming, 'token' | 'payload'> {
  readonly body: Body;
}

async function readEvent(
  request: IncomingMessage,
  token: string,
  { knowsToken, bodies }: IngestDependencies,
): Promise<EventRead> {
  const isKnown = () => knowsToken(token);
  try {
    const head = { idempotencyKey: idempotencyKeyOf(request), hops: hopsOf(request) };
    checkContentType(request.headers['content-type']);
    return { ...head, body: await bodies.read(request, { token, isKnown }) };
  } catch (error) {
    // The store answers for the token together with the event; a refused body never gets that far.
    throw !saysWhatIsWrong(error) || (await isKnown()) ? error : HttpError.unauthenticated();
  }
}

/** Only those who may send learn that. */
function saysWhatIsWrong(error: unknown): boolean {
  return error instanceof HttpError && error.status !== 401 && error.status !== 503;
}

function answer(response: ServerResponse, body: string): void {
  response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
}

function unavailable(error: unknown, telemetry: Telemetry): HttpError {
  telemetry.storageFailed('ingest', error);
  return HttpError.unavailable();
}
