import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Facts } from '../observe/facts.ts';

export const notFound: RequestHandler = (_request, response) => {
  response.status(404).json({ success: false, message: 'Not Found' });
};

/** The last error handler: says nothing of the cause but to the log. */
export function lastErrorHandler(facts: Facts): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, _request, response, _next) => {
    const status = clientErrorStatus(error);
    if (status === undefined) {
      facts.unexpectedError('http', error);
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response
      .status(status ?? 500)
      .json({ success: false, message: status === undefined ? 'Internal Server Error' : 'Bad Request' });
  };
}

/** Body parsers and the router mark what the caller is to blame for with a 4xx status. */
function clientErrorStatus(error: unknown): number | undefined {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : Number.NaN;
  return status >= 400 && status < 500 ? status : undefined;
}
