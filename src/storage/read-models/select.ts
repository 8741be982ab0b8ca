import type { RawBuilder } from 'kysely';
import type { EntityManager } from '../storage.ts';

/** Runs a statement that is not the mapper's; its log has it all the same. */
export async function select<Row>(em: EntityManager, statement: RawBuilder<Row>): Promise<Row[]> {
  const database = em.getKysely();
  const log = em.config.getLogger();
  if (log.isEnabled('query')) {
    log.log('query', statement.compile(database).sql);
  }
  return (await statement.execute(database)).rows;
}
