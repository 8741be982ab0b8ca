/**
 * A client that posts events to Data Pusher. It needs nothing but `fetch`; copy it into your project.
 *
 *   CL_X_TOKEN=... node samples/client.ts '{"hello":"world"}'
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface ClientOptions {
  /** For example http://127.0.0.1:4000/server/incoming_data */
  readonly url: string;
  /** The account's app secret token. */
  readonly token: string;
  /** How often an event is posted again when the server cannot take it for the moment. */
  readonly retries?: number;
  /** The event's own name, under which it is stored once. A new one for each call, if it is left out. */
  readonly idempotencyKey?: string;
}

/** The event is stored, and survives a power cut of the server. */
export interface Receipt {
  readonly eventId: string;
  /** How many destinations it goes to. */
  readonly deliveries: number;
}

/** The server has refused the event; `message` says why, and sending it again unchanged would not help. */
export class EventRefusedError extends Error {
  override readonly name: string = 'EventRefusedError';
}

/** 401: the token is wrong, or was replaced. */
export class UnauthenticatedError extends EventRefusedError {
  override readonly name = 'UnauthenticatedError';
}

/** 400: the event is not a JSON object. */
export class InvalidEventError extends EventRefusedError {
  override readonly name = 'InvalidEventError';
}

/** 413: the event is larger than the server allows. */
export class EventTooLargeError extends EventRefusedError {
  override readonly name = 'EventTooLargeError';
}

/** 429 or 503 until the last retry: the event is not stored, and has to be kept by the caller. */
export class ServiceUnavailableError extends Error {
  override readonly name = 'ServiceUnavailableError';
}

/** Over the account's limit, or not able to store. */
const BUSY: ReadonlySet<number> = new Set([429, 503]);
const DEFAULT_RETRIES = 3;
const DEFAULT_WAIT_SECONDS = 1;
const TIMEOUT_MS = 30_000;

/**
 * Posts one event.
 *
 * @param event the object to send, or its JSON text, which arrives at the destinations as it is.
 * @throws EventRefusedError, ServiceUnavailableError; TypeError or a time-out when there is no answer: call again with
 * the same `idempotencyKey` then, because the event may have been stored
 */
export async function sendEvent(event: object | string, options: ClientOptions): Promise<Receipt> {
  const body = typeof event === 'string' ? event : JSON.stringify(event);
  const key = options.idempotencyKey ?? crypto.randomUUID();
  for (let retriesLeft = options.retries ?? DEFAULT_RETRIES; ; retriesLeft -= 1) {
    const response = await fetch(options.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'CL-X-TOKEN': options.token, 'Idempotency-Key': key },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!BUSY.has(response.status)) {
      return receiptOf(response);
    }
    await response.body?.cancel();
    if (retriesLeft === 0) {
      throw new ServiceUnavailableError('The server takes no events for the moment.');
    }
    await delay(waitSeconds(response) * 1000);
  }
}

async function receiptOf(response: Response): Promise<Receipt> {
  const answer = (await response.json()) as Receipt & { message: string; detail?: string };
  const reason = answer.detail ?? answer.message;
  switch (response.status) {
    case 202:
      return { eventId: answer.eventId, deliveries: answer.deliveries };
    case 400:
      throw new InvalidEventError(reason);
    case 401:
      throw new UnauthenticatedError(reason);
    case 413:
      throw new EventTooLargeError(reason);
    default:
      throw new EventRefusedError(`${response.status}: ${reason}`);
  }
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function waitSeconds(response: Response): number {
  const value = response.headers.get('Retry-After') ?? '';
  const seconds = /^\d+$/u.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? DEFAULT_WAIT_SECONDS : Math.max(0, seconds);
}

if (import.meta.main) {
  const { DATA_PUSHER_URL = 'http://127.0.0.1:4000/server/incoming_data', CL_X_TOKEN = '' } = process.env;
  try {
    console.log(await sendEvent(process.argv[2] ?? { hello: 'world' }, { url: DATA_PUSHER_URL, token: CL_X_TOKEN }));
  } catch (error) {
    console.error(String(error));
    process.exitCode = 1;
  }
}
