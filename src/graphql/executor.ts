import { type ApolloServerOptions, HeaderMap } from '@apollo/server';
import { execute, type ExecutionResult, GraphQLError, type GraphQLSchema, OperationTypeNode } from 'graphql';
import { DomainError } from '../core/errors.ts';
import type { GraphQLContext } from './context.ts';

type Gateway = NonNullable<ApolloServerOptions<GraphQLContext>['gateway']>;
type Executor = NonNullable<Awaited<ReturnType<Gateway['load']>>['executor']>;

/** Apollo Server has its operations executed by a gateway, where it is given one; this one gives up in time. */
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
 * A query that is over its budget is answered at once, whatever of it hangs. A mutation is not given up: what it has
 * committed has to be answered, so that what it still reads fails instead.
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
      return refusal(error as Error);
    } finally {
      budget.end();
    }
  };
}

function refusal(error: Error): ExecutionResult {
  const isForNow = error instanceof DomainError && error.code === 'TOO_MANY_REQUESTS';
  const extensions = isForNow && { http: { status: 429, headers: new HeaderMap([['retry-after', '1']]) } };
  return {
    data: null,
    errors: [new GraphQLError(error.message, { originalError: error, ...(extensions && { extensions }) })],
  };
}
