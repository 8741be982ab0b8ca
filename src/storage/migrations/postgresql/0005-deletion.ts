import { Migration } from '@mikro-orm/migrations';

/** The partial index has only the deleted rows. */
export class Deletion extends Migration {
  override up(): void {
    this.addSql('create index account_deleted_at_index on account (deleted_at) where deleted_at is not null');
    this.addSql('create index destination_deleted_at_index on destination (deleted_at) where deleted_at is not null');
  }
}
