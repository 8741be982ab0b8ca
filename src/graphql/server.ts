import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import { GraphQLError, NoSchemaIntrospectionCustomRule, OperationTypeNode, validate } from 'graphql';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import type { GraphQLContext } from './context.ts';
import { EVERYTHING } from '../core/scope.ts';
import type { Telemetry } from '../observe/telemetry.ts';
import { answerText } from './answer.ts';
import { boundedGateway } from './executor.ts';
import { createFormatError } from './errors.ts';
import { limitsRule, TOKENS_MAX } from './limits.ts';
import { graphqlSchema } from './schema.ts';

/** GraphQL finds out only while it executes, and calls it a fault of the server. */
const operationPlugin: ApolloServerPlugin<GraphQLContext> = {
  async requestDidStart() {
    return {
      async didResolveOperation({ operation }) {
        if (operation?.operation === OperationTypeNode.SUBSCRIPTION) {
          throw new GraphQLError('Subscriptions are not supported; send a query or a mutation.', {
            nodes: operation,
            extensions: { code: 'OPERATION_NOT_SUPPORTED', http: { status: 400 } },
          });
        }
      },
    };
  },
};

/**
 * GraphQL over HTTP, section 6.4.1: a client that only accepts `application/json` gets status 200 for every
 * well-formed request, also when the query is refused; other statuses are kept for
 * `application/graphql-response+json`, where they cannot be mistaken for a proxy's.
 */
const statusPlugin: ApolloServerPlugin<GraphQLContext> = {
  async requestDidStart({ request }) {
    return {
      async willSendResponse({ response }) {
        const accept = request.http?.headers.get('accept') ?? '';
        const isRefused = response.http.status === 400;
        if (isRefused && request.query !== undefined && !accept.includes('application/graphql-response+json')) {
          response.http.status = 200;
        }
      },
    };
  },
};

/**
 * Keeps the schema for the administrator. A rule of the server's own would be asked once for each query text,
 * whoever sends it; this is asked for each request.
 */
const introspectionPlugin: ApolloServerPlugin<GraphQLContext> = {
  async requestDidStart({ contextValue, schema }) {
    return {
      async didResolveOperation({ document }) {
        if (contextValue.caller === EVERYTHING) {
          return;
        }
        const [error] = validate(schema, document, [NoSchemaIntrospectionCustomRule], { maxErrors: 1 });
        if (error !== undefined) {
          throw new GraphQLError('Only the administrator may introspect the schema.', {
            ...(error.nodes && { nodes: error.nodes }),
            extensions: { code: 'FORBIDDEN', http: { status: 400 } },
          });
        }
      },
    };
  },
};

/** Cache control would watch every field as it is resolved; answers are never cached. */
const ALWAYS = [ApolloServerPluginCacheControlDisabled(), statusPlugin, operationPlugin];
const OPEN = [...ALWAYS, ApolloServerPluginLandingPageLocalDefault({ footer: false })];
const CLOSED = [...ALWAYS, ApolloServerPluginLandingPageDisabled(), introspectionPlugin];

/** Each is looked up in the document; who has made so many mistakes is helped by the first. */
const VALIDATION_ERRORS_MAX = 20;

export interface GraphqlServerOptions {
  /** Strangers may ask: the schema is then for the administrator only. */
  readonly isExposed: boolean;
  readonly telemetry: Telemetry;
}

/** Started, and ready to be mounted. The app owns its shutdown. */
export async function startGraphqlServer({
  isExposed,
  telemetry,
}: GraphqlServerOptions): Promise<ApolloServer<GraphQLContext>> {
  const server = new ApolloServer<GraphQLContext>({
    gateway: boundedGateway(await graphqlSchema()),
    stringifyResult: answerText,
    introspection: true,
    hideSchemaDetailsFromClientErrors: isExposed,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    parseOptions: { maxTokens: TOKENS_MAX },
    validationRules: [limitsRule],
    validationOptions: { maxErrors: VALIDATION_ERRORS_MAX },
    formatError: createFormatError(telemetry),
    plugins: isExposed ? CLOSED : OPEN,
  });
  await server.start();
  return server;
}
