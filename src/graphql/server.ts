import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import type { Facts } from '../observe/facts.ts';
import { answerText } from './answer-text.ts';
import type { GraphQLContext } from './context.ts';
import { boundedGateway } from './executor.ts';
import { createFormatError } from './format-error.ts';
import { introspectionPlugin } from './introspection-plugin.ts';
import { limitsRule, TOKENS_MAX } from './limits.ts';
import { operationPlugin } from './operation-plugin.ts';
import { graphqlSchema } from './schema.ts';
import { statusPlugin } from './status-plugin.ts';

/** Cache control would watch every field as it is resolved; answers are never cached. */
const ALWAYS = [ApolloServerPluginCacheControlDisabled(), statusPlugin, operationPlugin];
const OPEN = [...ALWAYS, ApolloServerPluginLandingPageLocalDefault({ footer: false })];
const CLOSED = [...ALWAYS, ApolloServerPluginLandingPageDisabled(), introspectionPlugin];

/** Each is looked up in the document; who has made so many mistakes is helped by the first. */
const VALIDATION_ERRORS_MAX = 20;

export interface GraphqlServerOptions {
  /** Strangers may ask: the schema is then for the administrator only. */
  readonly isExposed: boolean;
  readonly facts: Facts;
}

/** Started, and ready to be mounted. The app owns its shutdown. */
export async function startGraphqlServer({
  isExposed,
  facts,
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
    formatError: createFormatError(facts),
    plugins: isExposed ? CLOSED : OPEN,
  });
  await server.start();
  return server;
}
