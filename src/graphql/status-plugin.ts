import type { ApolloServerPlugin } from '@apollo/server';
import type { GraphQLContext } from './context.ts';

/**
 * GraphQL over HTTP, section 6.4.1: a client that only accepts `application/json` gets status 200 for every
 * well-formed request, also when the query is refused; other statuses are kept for
 * `application/graphql-response+json`, where they cannot be mistaken for a proxy's.
 */
export const statusPlugin: ApolloServerPlugin<GraphQLContext> = {
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
