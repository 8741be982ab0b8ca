import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response, Router } from 'express';
import cors from 'cors';
import type { GraphQLContext } from '../graphql/context.ts';
import { authentication, type Authenticator, type Caller, callerOf } from '../access/authentication.ts';
import { clientErrorStatus, graphqlErrorHandler, refuseGraphql } from '../access/http-error.ts';
import type { FailureLimit } from '../access/limits.ts';
import type { Telemetry } from '../observe/telemetry.ts';

export const GRAPHQL_PATH = '/graphql';
export const INGEST_PATH = '/server/incoming_data';
const INGEST_PATHS = [INGEST_PATH, '/incoming_data'];
const BATCH_PATHS = INGEST_PATHS.map((path) => `${path}/batch`);
const GRAPHQL_BODY_MAX = '256kb';

export interface ApiRoutes {
  readonly ingest: RequestHandler;
  readonly ingestBatch: RequestHandler;
  readonly graphql: ApolloServer<GraphQLContext>;
  readonly graphqlContext: (caller: Caller) => GraphQLContext;
  readonly authenticator: Authenticator;
  readonly cors: CorsOptions;
  readonly failureLimit: FailureLimit | undefined;
  /** Express's setting for trusted proxies. */
  readonly trustProxy: false | number | readonly string[];
}

interface HttpAppDependencies {
  /** `undefined` in a process that only makes deliveries. */
  readonly api: ApiRoutes | undefined;
  readonly isReady: ReadinessCheck;
  readonly telemetry: Telemetry;
}

/** Mounts the routes. Ingest comes first, so no other middleware touches its body. */
export function createHttpApp({ api, isReady, telemetry }: HttpAppDependencies): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  if (api !== undefined) {
    app.set('trust proxy', api.trustProxy);
    app.route(INGEST_PATHS).all(api.ingest);
    app.route(BATCH_PATHS).all(api.ingestBatch);
  }
  app.use('/health', healthRoutes(isReady));
  if (api !== undefined) {
    app.use(
      GRAPHQL_PATH,
      ...apiCors(api.cors),
      authentication({
        authenticator: api.authenticator,
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

/** A slow reader's answer counts against the budget until its connection has taken the last byte, or has closed. */
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

/** Browsers hide headers that are not named. A page that is told to wait must learn for how long. */
const READABLE_HEADERS = ['Retry-After'];

interface CorsOptions {
  /** Allowed on every server, exposed or not. */
  readonly origins: readonly string[];
  readonly isExposed: boolean;
}

/**
 * Pages of the configured origins may call the API from a browser. On a developer's machine, Sandbox and local front
 * ends may too. Without ADMIN_TOKEN every local caller is the administrator: any other page that a developer happens to
 * open could read every token. Pages may send any header.
 */
function apiCors({ origins, isExposed }: CorsOptions): RequestHandler[] {
  const configured = new Set(origins);
  const isAllowed = (origin: string | undefined): boolean =>
    origin !== undefined && (configured.has(origin) || (!isExposed && isLocalTool(origin)));
  const handle = cors({
    origin: (origin, decide) => decide(null, isAllowed(origin)),
    exposedHeaders: READABLE_HEADERS,
    maxAge: 600,
  });
  return [allowPrivateNetwork(isAllowed), handle];
}

function isLocalTool(origin: string): boolean {
  return SANDBOX_ORIGINS.has(origin) || LOOPBACK_ORIGIN.test(origin);
}

/** Chromium asks for this before a public page such as Sandbox may call a local server. The package cors has no option. */
function allowPrivateNetwork(isAllowed: (origin: string | undefined) => boolean): RequestHandler {
  return (request, response, next) => {
    if (request.headers['access-control-request-private-network'] === 'true' && isAllowed(request.headers.origin)) {
      response.setHeader('Access-Control-Allow-Private-Network', 'true');
    }
    next();
  };
}

/** The answer of `/health/ready`: false when the process should get no requests. */
type ReadinessCheck = () => Promise<boolean>;

/** For supervisors: `live` says that the process runs, `ready` that it can serve requests. */
function healthRoutes(isReady: ReadinessCheck): Router {
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

const notFound: RequestHandler = (_request, response) => {
  response.status(404).json({ success: false, message: 'Not Found' });
};

/** The last error handler. The cause goes to the log only. */
function lastErrorHandler(telemetry: Telemetry): ErrorRequestHandler {
  // Express recognises an error handler by its four parameters.
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

/** No query within the limit of tokens needs more. */
const LINES_MAX = 5_000;

/**
 * GraphQL computes the line of every error by counting from the start. A query of nothing but line breaks with errors
 * after them would block the event loop for a second.
 */
const lineLimit: RequestHandler = (request, response, next) => {
  const { query }: { query?: unknown } = request.body ?? {};
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
