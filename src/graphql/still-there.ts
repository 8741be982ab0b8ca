import { DomainError } from '../core/errors.ts';

/** For what a foreign key promises: it can only be missing when it was deleted while the query ran. */
export function stillThere<Row>(row: Row | undefined, what: Parameters<typeof DomainError.notFound>[0]): Row {
  if (row === undefined) {
    throw DomainError.notFound(what);
  }
  return row;
}
