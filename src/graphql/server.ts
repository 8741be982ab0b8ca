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

/** Without this, GraphQL refuses subscriptions during the execution, as an error of the server. */
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
 * A client that only accepts `application/json` gets status 200 for every well-formed request, even when the query is
 * refused (GraphQL over HTTP, section 6.4.1). Other statuses are for `application/graphql-response+json`, where they
 * cannot be mistaken for a proxy's.
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
 * Only the administrator may introspect. Apollo caches the result of validation rules for each query text, whoever sends
 * it. This check runs for each request.
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

/** Cache control would wrap every resolver, but answers are never cached. */
const ALWAYS = [ApolloServerPluginCacheControlDisabled(), statusPlugin, operationPlugin];
const OPEN = [...ALWAYS, ApolloServerPluginLandingPageLocalDefault({ footer: false })];
const CLOSED = [...ALWAYS, ApolloServerPluginLandingPageDisabled(), introspectionPlugin];

/** Finding the position of each error costs time, and the first few are enough. */
const VALIDATION_ERRORS_MAX = 20;

interface GraphqlServerOptions {
  /** If true, only the administrator may introspect. */
  readonly isExposed: boolean;
  readonly telemetry: Telemetry;
}

/** Returns a started server. The app stops it. */
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
