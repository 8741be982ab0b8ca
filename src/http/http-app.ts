import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type Express, type RequestHandler, type Response } from 'express';
import type { GraphQLContext } from '../graphql/context.ts';
import type { Caller, Identify } from '../graphql/caller.ts';
import type { FailureLimit } from '../ingest/failure-limit.ts';
import type { Facts } from '../observe/facts.ts';
import { admission, callerOf } from './admission.ts';
import { apiCors, type CorsOptions } from './cors.ts';
import { graphqlErrorHandler } from './graphql-refusal.ts';
import { healthRoutes, type ReadinessCheck } from './health.ts';
import { lineLimit } from './line-limit.ts';
import { lastErrorHandler, notFound } from './last-resort.ts';

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
  readonly facts: Facts;
}

/** Mounts the routes. Ingest stands first and alone: no middleware of the others touches its bytes. */
export function createHttpApp({ api, isReady, facts }: HttpAppDependencies): Express {
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
        facts,
      }),
      express.json({ limit: GRAPHQL_BODY_MAX }),
      lineLimit,
      notCached,
      expressMiddleware(api.graphql, { context: async ({ res }) => contextOf(api, res) }),
      graphqlErrorHandler(facts),
    );
  }
  app.use(notFound);
  app.use(lastErrorHandler(facts));
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
