import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorRequestHandler, Request, Response } from 'express';
import type { Telemetry } from '../observe/telemetry.ts';

/** A request that the ingest route refuses: what the table of answers says of it. */
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

  static methodNotAllowed(): HttpError {
    return new HttpError(405, invalidData('Send events with the method POST.'), { Allow: 'POST' });
  }

  static tooLarge(maxBytes: number): HttpError {
    return new HttpError(
      413,
      invalidData(`The body must not be larger than ${maxBytes} bytes, before and after decompression.`),
    );
  }

  static conflict(detail: string): HttpError {
    return new HttpError(409, { success: false, message: 'Conflict', detail });
  }

  /** @param waitMs until it would not be refused for this */
  static tooMany(detail: string, waitMs: number): HttpError {
    const body = { success: false, message: 'Too Many Requests', detail };
    return new HttpError(429, body, { 'Retry-After': Math.max(1, Math.ceil(waitMs / 1_000)).toString() });
  }

  static loopDetected(): HttpError {
    return new HttpError(508, { success: false, message: 'Loop Detected' });
  }

  static unavailable(): HttpError {
    return new HttpError(503, { success: false, message: 'Service Unavailable' }, { 'Retry-After': '5' });
  }
}

function invalidData(detail: string): Record<string, unknown> {
  return { success: false, message: 'Invalid Data', detail };
}

/** How long, and for how many bytes, a refused sender may go on before the connection is cut. */
const LINGER_MS = 2_000;
const LINGER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Answers at once, though the body may still be on its way. Closing a connection with unread data makes the
 * kernel reset it, and the sender would never see the answer; so what comes after it is read and thrown away,
 * within limits.
 */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers }: Pick<HttpError, 'status' | 'body' | 'headers'>,
): void {
  if (request.destroyed && !request.complete) {
    // The sender has gone.
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

/** What a body parser has found, by its name for the case; its own messages repeat the body, which may hold secrets. */
const BODY_FAULTS: Readonly<Record<string, string>> = {
  'entity.parse.failed': 'The body is not valid JSON, or not an object.',
  'entity.too.large': 'The body is too large.',
  'encoding.unsupported': 'The body has a Content-Encoding that is not supported; gzip, deflate and br are.',
  'charset.unsupported': 'The body has a charset that is not supported; send UTF-8.',
  'request.size.invalid': 'The body is not as long as its Content-Length says.',
  'request.aborted': 'The body has broken off.',
};

export interface GraphqlRefusal {
  readonly status: number;
  readonly message: string;
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers as GraphQL does, to a request that has not come as far as it. */
export function refuseGraphql(request: Request, response: Response, refusal: GraphqlRefusal): void {
  const { status, message, code, headers } = refusal;
  const body = { errors: [{ message, extensions: { code } }] };
  refuse(request, response, { status, body, headers: { ...contentType(request), ...headers } });
}

/** For what goes wrong before GraphQL has the request: a body that cannot be read is its sender's fault. */
export function graphqlErrorHandler(telemetry: Telemetry): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const { status, type } = error as { status?: unknown; type?: unknown };
    if (typeof status === 'number' && status >= 400 && status < 500) {
      const message = BODY_FAULTS[String(type)] ?? 'The body cannot be read.';
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
