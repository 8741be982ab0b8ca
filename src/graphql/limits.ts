import {
  type ASTVisitor,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';

/** The parser stops after this many lexical tokens. */
export const TOKENS_MAX = 2_000;
const DEPTH_MAX = 12;
/** GraphQL's own introspection query has 15 levels. It reads the schema, which is small. */
const INTROSPECTION_DEPTH_MAX = 16;
const ALIASES_MAX = 30;
const DIRECTIVES_MAX = 50;
/** Counted with the fields of fragments. Bounds this walk itself. */
const FIELDS_MAX = 2_000;

interface Counts {
  depth: number;
  aliases: number;
  directives: number;
  fields: number;
}

/** Refuses excessive operations before they are executed. One walk counts everything; graphql-armor has a walk for each limit. */
export const limitsRule: ValidationRule = (context: ValidationContext): ASTVisitor => ({
  OperationDefinition(operation) {
    const excess = excessOf(operation, context);
    if (excess !== undefined) {
      context.reportError(new GraphQLError(excess, { nodes: operation }));
    }
  },
});

function excessOf(operation: OperationDefinitionNode, context: ValidationContext): string | undefined {
  const counts: Counts = { depth: 0, aliases: 0, directives: 0, fields: 0 };
  const limit = isIntrospection(operation) ? INTROSPECTION_DEPTH_MAX : DEPTH_MAX;
  counts.directives += operation.directives?.length ?? 0;
  count(operation.selectionSet, 1, limit, new Set(), counts, context);
  if (counts.depth > limit) {
    return `The operation is nested more than ${limit} levels deep.`;
  }
  if (counts.aliases > ALIASES_MAX) {
    return `The operation has more than ${ALIASES_MAX} aliases.`;
  }
  if (counts.directives > DIRECTIVES_MAX) {
    return `The operation has more than ${DIRECTIVES_MAX} directives.`;
  }
  return counts.fields > FIELDS_MAX ? `The operation has more than ${FIELDS_MAX} fields.` : undefined;
}

function isIntrospection({ selectionSet }: OperationDefinitionNode): boolean {
  return selectionSet.selections.every(
    (selection) => selection.kind === Kind.FIELD && selection.name.value.startsWith('__'),
  );
}

/** @param path the fragments that are being spread. Another rule reports cycles; this walk only has to end. */
function count(
  selectionSet: SelectionSetNode,
  depth: number,
  limit: number,
  path: Set<string>,
  counts: Counts,
  context: ValidationContext,
): void {
  counts.depth = Math.max(counts.depth, depth);
  for (const selection of selectionSet.selections) {
    if (depth > limit || counts.fields > FIELDS_MAX) {
      return;
    }
    counts.fields += 1;
    counts.directives += selection.directives?.length ?? 0;
    if (selection.kind === Kind.FIELD) {
      counts.aliases += selection.alias === undefined ? 0 : 1;
      if (selection.selectionSet !== undefined) {
        count(selection.selectionSet, depth + 1, limit, path, counts, context);
      }
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      count(selection.selectionSet, depth, limit, path, counts, context);
    } else {
      const name = selection.name.value;
      const fragment = path.has(name) ? undefined : context.getFragment(name);
      if (fragment !== undefined && fragment !== null) {
        count(fragment.selectionSet, depth, limit, new Set([...path, name]), counts, context);
      }
    }
  }
}
