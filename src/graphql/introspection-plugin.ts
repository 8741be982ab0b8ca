import type { ApolloServerPlugin } from '@apollo/server';
import { GraphQLError, NoSchemaIntrospectionCustomRule, validate } from 'graphql';
import { EVERYTHING } from '../core/scope.ts';
import type { GraphQLContext } from './context.ts';

/**
 * Keeps the schema for the administrator. A rule of the server's own would be asked once for each query text,
 * whoever sends it; this is asked for each request.
 */
export const introspectionPlugin: ApolloServerPlugin<GraphQLContext> = {
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
