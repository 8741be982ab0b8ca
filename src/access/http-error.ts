import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorRequestHandler, Request, Response } from 'express';
import { DomainError } from '../core/errors.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { isOutage } from '../storage/errors.ts';

/** An error answer of the ingest route. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  private constructor(
    status: number,
    body: Readonly<Record<string, unknown>>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(String(body['detail'] ?? body['message']));
    this.status = status;
    this.body = body;
    this.headers = headers;
  }

  static unauthenticated(): HttpError {
    return new HttpError(401, { success: false, message: 'Un Authenticate' });
  }

  static invalid(detail: string): HttpError {
    return new HttpError(400, invalidData(detail));
  }

  /** @param index of the event in its batch */
  static invalidEvent(detail: string, index: number): HttpError {
    return new HttpError(400, { ...invalidData(detail), index });
  }

  static methodNotAllowed(): HttpError {
    return new HttpError(405, invalidData('Send events with the method POST.'), { Allow: 'POST' });
  }

  static tooLarge(maxBytes: number): HttpError {
    return new HttpError(
      413,
      invalidData(`The body must not be larger than ${maxBytes} bytes, before and after decompression.`),
    );
  }

  /** @param index of the event in its batch */
  static eventTooLarge(maxBytes: number, index: number): HttpError {
    return new HttpError(413, {
      ...invalidData(`An event of a batch must not be larger than ${maxBytes} bytes.`),
      index,
    });
  }

  static tooManyEvents(max: number): HttpError {
    return new HttpError(413, invalidData(`A batch must not have more than ${max} events.`));
  }

  static routingTooLong(): HttpError {
    return new HttpError(
      413,
      invalidData('To find out where the events of the batch go takes too long. Send fewer events in one request.'),
    );
  }

  static conflict(detail: string): HttpError {
    return new HttpError(409, { success: false, message: 'Conflict', detail });
  }

  /** @param waitMs until the next request is accepted */
  static tooMany(detail: string, waitMs: number): HttpError {
    return new HttpError(429, { success: false, message: 'Too Many Requests', detail }, retryAfter(waitMs));
  }

  static loopDetected(): HttpError {
    return new HttpError(508, { success: false, message: 'Loop Detected' });
  }

  static unavailable(): HttpError {
    return new HttpError(503, { success: false, message: 'Service Unavailable' }, retryAfter(5_000));
  }
}

export function retryAfter(waitMs: number): { readonly 'Retry-After': string } {
  return { 'Retry-After': Math.max(1, Math.ceil(waitMs / 1_000)).toString() };
}

function invalidData(detail: string): Record<string, unknown> {
  return { success: false, message: 'Invalid Data', detail };
}

/** A refused sender may go on for this time and these bytes; then the connection is cut. */
const LINGER_MS = 2_000;
const LINGER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Answers at once, even while the body is still arriving. If the connection were closed with unread data, the kernel
 * would reset it and the sender would never see the answer. The rest of the body is therefore read and discarded,
 * within limits.
 */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers }: Pick<HttpError, 'status' | 'body' | 'headers'>,
): void {
  if (request.destroyed && !request.complete) {
    // The sender has disconnected.
    response.destroy();
    return;
  }
  const text = JSON.stringify(body);
  const bodyIsRead = request.complete;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
    ...(!bodyIsRead && { Connection: 'close' }),
  });
  if (bodyIsRead || request.method === 'HEAD') {
    response.end(request.method === 'HEAD' ? undefined : text);
    return;
  }
  response.write(text);
  linger(request, () => response.end());
}

function linger(request: IncomingMessage, done: () => void): void {
  let discarded = 0;
  const timer = setTimeout(done, LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > LINGER_BYTES_MAX) {
      done();
    }
  });
  request.once('close', () => {
    clearTimeout(timer);
    done();
  });
  request.resume();
}

/** By the body parser's type of error. Its own messages quote the body, which may contain secrets. */
const BODY_FAULTS: Readonly<Record<string, string>> = {
  'entity.parse.failed': 'The body is not valid JSON, or not an object.',
  'entity.too.large': 'The body is too large.',
  'encoding.unsupported': 'The Content-Encoding is not supported; use gzip, deflate or br.',
  'charset.unsupported': 'The charset is not supported; send UTF-8.',
  'request.size.invalid': 'The length of the body differs from its Content-Length.',
  'request.aborted': 'The body ended early.',
};

interface GraphqlRefusal {
  readonly status: number;
  readonly message: string;
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers in GraphQL's format before the request reaches GraphQL. */
export function refuseGraphql(request: Request, response: Response, refusal: GraphqlRefusal): void {
  const { status, message, code, headers } = refusal;
  const body = { errors: [{ message, extensions: { code } }] };
  refuse(request, response, { status, body, headers: { ...contentType(request), ...headers } });
}

/** Handles errors of the middleware before GraphQL. Those with a 4xx status are the sender's fault. */
export function graphqlErrorHandler(telemetry: Telemetry): ErrorRequestHandler {
  // Express recognises an error handler by its four parameters.
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = clientErrorStatus(error);
    if (status !== undefined) {
      const type = typeof error === 'object' && error !== null && 'type' in error ? String(error.type) : '';
      const message = BODY_FAULTS[type] ?? 'The body cannot be read.';
      refuseGraphql(request, response, { status, message, code: 'BAD_REQUEST' });
      return;
    }
    telemetry.unexpectedError('graphql', error);
    refuseGraphql(request, response, { status: 500, message: 'Internal server error', code: 'INTERNAL_SERVER_ERROR' });
  };
}

function contentType(request: Request) {
  const type = 'application/graphql-response+json';
  return { 'Content-Type': request.headers.accept?.includes(type) === true ? type : 'application/json; charset=utf-8' };
}

/** Body parsers and the router give an error a 4xx status when the sender is at fault. */
export function clientErrorStatus(error: unknown): number | undefined {
  const status = typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : Number.NaN;
  return status >= 400 && status < 500 ? status : undefined;
}

/** The part of a failure that a GraphQL client may see. */
export interface PublicError {
  readonly message: string;
  readonly extensions: { readonly code: string; readonly field?: string };
}

const INTERNAL: PublicError = { message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } };

/**
 * Unknown errors are logged and hidden from the client. An outage of the database is logged as one, and not for every
 * request that meets it.
 *
 * @param during the part of the program that failed, for the log
 */
export function publicError(telemetry: Telemetry, during: string, cause: unknown): PublicError {
  const known = isOutage(cause) ? DomainError.storageUnavailable(cause) : cause;
  if (!(known instanceof DomainError)) {
    telemetry.unexpectedError(during, cause);
    return INTERNAL;
  }
  if (known.code === 'STORAGE_UNAVAILABLE') {
    telemetry.storageFailed(during, known.cause);
  }
  return {
    message: known.message,
    extensions: { code: known.code, ...(known.field !== undefined && { field: known.field }) },
  };
}
