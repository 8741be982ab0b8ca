import { type ApolloServerOptions, HeaderMap } from '@apollo/server';
import { execute, type ExecutionResult, GraphQLError, type GraphQLSchema, OperationTypeNode } from 'graphql';
import { DomainError } from '../core/errors.ts';
import type { GraphQLContext } from './context.ts';

type Gateway = NonNullable<ApolloServerOptions<GraphQLContext>['gateway']>;
type Executor = NonNullable<Awaited<ReturnType<Gateway['load']>>['executor']>;

/** Apollo Server lets a gateway execute its operations. This one aborts those over their budget. */
export function boundedGateway(schema: GraphQLSchema): Gateway {
  return {
    load: async () => ({ executor: boundedExecutor(schema) }),
    onSchemaLoadOrUpdate(loaded) {
      loaded({ apiSchema: schema, coreSupergraphSdl: '' });
      return () => undefined;
    },
    stop: async () => undefined,
  };
}

/**
 * A query over its budget is answered at once, even if some of its resolvers hang. A mutation is not aborted, because its
 * committed changes must be answered. Its remaining reads fail instead.
 */
function boundedExecutor(schema: GraphQLSchema): Executor {
  return async ({ document, request, operationName, operation, context }) => {
    const { budget } = context as GraphQLContext;
    try {
      budget.begin();
      const result = execute({
        schema,
        document,
        contextValue: context,
        variableValues: request.variables ?? null,
        operationName,
      });
      return await (operation.operation === OperationTypeNode.QUERY
        ? Promise.race([result, budget.refused.then(refusal)])
        : result);
    } catch (error) {
      return refusal(error instanceof Error ? error : new Error(String(error)));
    } finally {
      budget.end();
    }
  };
}

function refusal(error: Error): ExecutionResult {
  const isTemporary = error instanceof DomainError && error.code === 'TOO_MANY_REQUESTS';
  const extensions = isTemporary && { http: { status: 429, headers: new HeaderMap([['retry-after', '1']]) } };
  return {
    data: null,
    errors: [new GraphQLError(error.message, { originalError: error, ...(extensions && { extensions }) })],
  };
}
