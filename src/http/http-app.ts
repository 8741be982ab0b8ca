import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response, Router } from 'express';
import cors from 'cors';
import type { GraphQLContext } from '../graphql/context.ts';
import type { Caller, Identify } from '../access/caller.ts';
import type { FailureLimit } from '../access/limits.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { admission, callerOf } from '../access/admission.ts';
import { graphqlErrorHandler, refuseGraphql } from '../access/http-error.ts';

export const GRAPHQL_PATH = '/graphql';
export const INGEST_PATH = '/server/incoming_data';
const INGEST_PATHS = [INGEST_PATH, '/incoming_data'];
const GRAPHQL_BODY_MAX = '256kb';

export interface ApiRoutes {
  readonly ingest: RequestHandler;
  readonly graphql: ApolloServer<GraphQLContext>;
  readonly graphqlContext: (caller: Caller) => GraphQLContext;
  readonly identify: Identify;
  readonly cors: CorsOptions;
  readonly failureLimit: FailureLimit | undefined;
  /** Whose X-Forwarded-For is believed, as Express has it. */
  readonly trustProxy: false | number | readonly string[];
}

export interface HttpAppDependencies {
  /** Absent in a process that only makes deliveries. */
  readonly api: ApiRoutes | undefined;
  readonly isReady: ReadinessCheck;
  readonly telemetry: Telemetry;
}

/** Mounts the routes. Ingest stands first and alone: no middleware of the others touches its bytes. */
export function createHttpApp({ api, isReady, telemetry }: HttpAppDependencies): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  if (api !== undefined) {
    app.set('trust proxy', api.trustProxy);
    app.route(INGEST_PATHS).all(api.ingest);
  }
  app.use('/health', healthRoutes(isReady));
  if (api !== undefined) {
    app.use(
      GRAPHQL_PATH,
      ...apiCors(api.cors),
      admission({
        identify: api.identify,
        hasLandingPage: !api.cors.isExposed,
        failureLimit: api.failureLimit,
        telemetry,
      }),
      express.json({ limit: GRAPHQL_BODY_MAX }),
      lineLimit,
      notCached,
      expressMiddleware(api.graphql, { context: async ({ res }) => contextOf(api, res) }),
      graphqlErrorHandler(telemetry),
    );
  }
  app.use(notFound);
  app.use(lastErrorHandler(telemetry));
  return app;
}

/** Whoever takes an answer slowly, or has gone, keeps what it costs for as long as the exchange lasts, and no longer. */
function contextOf({ graphqlContext }: ApiRoutes, response: Response): GraphQLContext {
  const context = graphqlContext(callerOf(response));
  response.once('close', () => context.budget.release());
  return context;
}

const notCached: RequestHandler = (_request, response, next) => {
  response.setHeader('Cache-Control', 'no-store');
  next();
};

/** Apollo Sandbox, embedded and in its own tab. */
const SANDBOX_ORIGINS: ReadonlySet<string> = new Set([
  'https://studio.apollographql.com',
  'https://sandbox.embed.apollographql.com',
  'https://explorer.embed.apollographql.com',
]);
const LOOPBACK_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/u;

export interface CorsOptions {
  /** Allowed wherever the server runs. */
  readonly origins: readonly string[];
  readonly isExposed: boolean;
}

/**
 * Which web pages may call the API from a browser: those of the configured origins and, on a developer's
 * machine, Sandbox and front ends on the same machine. Where everyone is the administrator, any other page that
 * a visitor happens to open could otherwise read every token. The headers that a page asks to send are allowed.
 */
export function apiCors({ origins, isExposed }: CorsOptions): RequestHandler[] {
  const configured = new Set(origins);
  const isAllowed = (origin: string | undefined): boolean =>
    origin !== undefined && (configured.has(origin) || (!isExposed && isLocalTool(origin)));
  const handle = cors({ origin: (origin, decide) => decide(null, isAllowed(origin)), maxAge: 600 });
  return [allowPrivateNetwork(isAllowed), handle];
}

function isLocalTool(origin: string): boolean {
  return SANDBOX_ORIGINS.has(origin) || LOOPBACK_ORIGIN.test(origin);
}

/** Chromium asks before it lets a public page such as Sandbox call a server on this machine. */
function allowPrivateNetwork(isAllowed: (origin: string | undefined) => boolean): RequestHandler {
  return (request, response, next) => {
    if (request.headers['access-control-request-private-network'] === 'true' && isAllowed(request.headers.origin)) {
      response.setHeader('Access-Control-Allow-Private-Network', 'true');
    }
    next();
  };
}

/** What `/health/ready` asks: false when the process should get no requests. */
export type ReadinessCheck = () => Promise<boolean>;

/** For supervisors: `live` says that the process answers, `ready` that it can do its work. */
export function healthRoutes(isReady: ReadinessCheck): Router {
  const router = Router();
  router.get('/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/ready', async (_request, response) => {
    const ready = await isReady();
    response.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'unavailable' });
  });
  return router;
}

export const notFound: RequestHandler = (_request, response) => {
  response.status(404).json({ success: false, message: 'Not Found' });
};

/** The last error handler: says nothing of the cause but to the log. */
export function lastErrorHandler(telemetry: Telemetry): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, _request, response, _next) => {
    const status = clientErrorStatus(error);
    if (status === undefined) {
      telemetry.unexpectedError('http', error);
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
