import type { RequestHandler } from 'express';
import { refuseGraphql } from './graphql-refusal.ts';

/** More than GraphQL's own limit of tokens leaves a use for. */
const LINES_MAX = 5_000;

/**
 * GraphQL tells the line of every error, and counts lines from the first each time: a document of nothing but line
 * breaks, with mistakes behind them, would hold up everyone for a second.
 */
export const lineLimit: RequestHandler = (request, response, next) => {
  const query = (request.body as { query?: unknown } | undefined)?.query;
  if (typeof query === 'string' && hasMoreLines(query)) {
    refuseGraphql(request, response, {
      status: 400,
      message: `The query has more than ${LINES_MAX} lines.`,
      code: 'BAD_REQUEST',
    });
    return;
  }
  next();
};

const LINE_BREAK = /[\r\n]/gu;

function hasMoreLines(text: string): boolean {
  let lines = 1;
  for (const _ of text.matchAll(LINE_BREAK)) {
    lines += 1;
    if (lines > LINES_MAX) {
      return true;
    }
  }
  return false;
}
