import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import type { Facts } from '../observe/facts.ts';
import type { AcceptEvent, Incoming } from './accept-event.ts';
import { readBody } from './body.ts';
import { checkContentType } from './content-type.ts';
import { idempotencyKeyOf } from './key-header.ts';
import { checkPayload } from './payload.ts';
import { Refusal } from './refusal.ts';
import { refuse } from './refuse.ts';
import { tokenOf } from './token-header.ts';

export interface IngestDependencies {
  readonly acceptEvent: AcceptEvent;
  readonly knowsToken: (token: string) => Promise<boolean>;
  readonly maxBodyBytes: number;
  readonly facts: Facts;
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
    ingest(request, dependencies).then(
      (body) => answer(response, body),
      (error: unknown) =>
        refuse(request, response, error instanceof Refusal ? error : unavailable(error, dependencies.facts)),
    );
  };
}

async function ingest(
  request: IncomingMessage,
  { acceptEvent, knowsToken, maxBodyBytes }: IngestDependencies,
): Promise<string> {
  if (request.method !== 'POST') {
    throw Refusal.methodNotAllowed();
  }
  const token = tokenOf(request);
  if (token === undefined) {
    throw Refusal.unauthenticated();
  }
  let event: Pick<Incoming, 'payload' | 'idempotencyKey'>;
  try {
    event = { idempotencyKey: idempotencyKeyOf(request), payload: await readPayload(request, maxBodyBytes) };
  } catch (error) {
    // The store answers for the token together with the event; a refused body never gets that far.
    throw (await knowsToken(token)) ? error : Refusal.unauthenticated();
  }
  const accepted = await acceptEvent({ token, ...event });
  if (accepted === undefined) {
    throw Refusal.unauthenticated();
  }
  return JSON.stringify({ success: true, message: 'Data Received', ...accepted });
}

async function readPayload(request: IncomingMessage, maxBodyBytes: number): Promise<Buffer> {
  checkContentType(request.headers['content-type']);
  const payload = await readBody(request, maxBodyBytes);
  checkPayload(payload);
  return payload;
}

function answer(response: ServerResponse, body: string): void {
  response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body);
}

function unavailable(error: unknown, facts: Facts): Refusal {
  facts.storageFailed('ingest', error);
  return Refusal.unavailable();
}
