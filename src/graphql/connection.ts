import { type ClassType, Field, Int, ObjectType } from 'type-graphql';
import { DomainError } from '../core/errors.ts';
import { isId } from '../core/ids.ts';
import { type Page, PAGE_MAX, type PageArguments } from '../storage/read-models/reading.ts';

const PAGE_DEFAULT = 20;

/** @throws DomainError BAD_USER_INPUT */
export function parsePage(first: number | null | undefined, after: string | null | undefined): PageArguments {
  const size = first ?? PAGE_DEFAULT;
  if (size < 0 || size > PAGE_MAX) {
    throw DomainError.badInput('first', `A page has from 0 to ${PAGE_MAX} entries.`);
  }
  return { first: size, after: after === null || after === undefined ? undefined : parseCursor(after) };
}

/** Opaque to clients. It contains the id, by which lists are sorted. */
function toCursor(id: string): string {
  return Buffer.from(id, 'latin1').toString('base64url');
}

function parseCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!isId(id)) {
    throw DomainError.badInput('after', 'The cursor must come from this list.');
  }
  return id;
}

@ObjectType({ description: 'The position of a page in its list, as in the Relay cursor connections specification.' })
class PageInfo {
  @Field(() => Boolean, { description: 'Whether there are entries after this page.' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'Whether the page begins after a cursor.' })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: "The cursor of the page's first entry." })
  startCursor!: string | null;

  @Field(() => String, {
    nullable: true,
    description: "The cursor of the page's last entry; pass it as `after` to get the next page.",
  })
  endCursor!: string | null;
}

/** Makes the connection type of a node type, and its edge type. */
export function connectionType<Node extends object>(nodeType: ClassType<Node>, name: string, plural: string) {
  @ObjectType(`${name}Edge`, { description: `An entry of a list of ${plural}.` })
  class Edge {
    @Field(() => String, { description: 'The position of this entry. Pass it as `after` to get the next entries.' })
    cursor!: string;

    @Field(() => nodeType, { description: 'The entry itself.' })
    node!: Node;
  }

  @ObjectType(`${name}Connection`, { description: `A page of a list of ${plural}.` })
  class Connection {
    @Field(() => [Edge], { description: 'The entries of this page, each with its cursor.' })
    edges!: Edge[];

    @Field(() => [nodeType], { description: 'The entries of this page.' })
    nodes!: Node[];

    @Field(() => PageInfo, { description: 'The position of this page in the list.' })
    pageInfo!: PageInfo;

    @Field(() => Int, {
      nullable: true,
      simple: true,
      description: 'The number of entries in the whole list; null above 10,000.',
    })
    totalCount!: number | null;
  }
  return Connection;
}

/** `totalCount` is a function, so GraphQL calls it only when the field is selected. */
export function toConnection<Node extends { id: string }>(page: Page<Node>, totalCount: () => Promise<number | null>) {
  const edges = page.rows.map((node) => ({ cursor: toCursor(node.id), node }));
  return {
    edges,
    nodes: page.rows,
    pageInfo: {
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount,
  };
}
