import { Migration } from '@mikro-orm/migrations';

/** What is marked as deleted is found by an index that is empty but for it. */
export class Deletion extends Migration {
  override up(): void {
    this.addSql('create index account_deleted_at_index on account (deleted_at) where deleted_at is not null');
    this.addSql('create index destination_deleted_at_index on destination (deleted_at) where deleted_at is not null');
  }
}
