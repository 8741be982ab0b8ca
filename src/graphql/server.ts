import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import type { Facts } from '../observe/facts.ts';
import type { GraphQLContext } from './context.ts';
import { createFormatError } from './format-error.ts';
import { limitsRule, TOKENS_MAX } from './limits.ts';
import { graphqlSchema } from './schema.ts';
import { statusPlugin } from './status-plugin.ts';

/** Started, and ready to be mounted. The app owns its shutdown. */
export async function startGraphqlServer(facts: Facts): Promise<ApolloServer<GraphQLContext>> {
  const server = new ApolloServer<GraphQLContext>({
    schema: await graphqlSchema(),
    introspection: true,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    parseOptions: { maxTokens: TOKENS_MAX },
    validationRules: [limitsRule],
    formatError: createFormatError(facts),
    plugins: [statusPlugin, ApolloServerPluginLandingPageLocalDefault({ footer: false })],
  });
  await server.start();
  return server;
}
