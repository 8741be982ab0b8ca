import type { ErrorRequestHandler, Request, Response } from 'express';
import { refuse } from '../ingest/refuse.ts';
import type { Facts } from '../observe/facts.ts';

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
export function graphqlErrorHandler(facts: Facts): ErrorRequestHandler {
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
    facts.unexpectedError('graphql', error);
    refuseGraphql(request, response, { status: 500, message: 'Internal server error', code: 'INTERNAL_SERVER_ERROR' });
  };
}

function contentType(request: Request) {
  const type = 'application/graphql-response+json';
  return { 'Content-Type': request.headers.accept?.includes(type) === true ? type : 'application/json; charset=utf-8' };
}
