import type { ApolloServerPlugin } from '@apollo/server';
import { GraphQLError, OperationTypeNode } from 'graphql';
import type { GraphQLContext } from './context.ts';

/** GraphQL finds out only while it executes, and calls it a fault of the server. */
export const operationPlugin: ApolloServerPlugin<GraphQLContext> = {
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
