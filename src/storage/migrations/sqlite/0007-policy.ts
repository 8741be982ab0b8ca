import { Migration } from '@mikro-orm/migrations';

/**
 * Columns that may be null take no room in the rows that are there, and adding them rewrites no table. The index of the
 * order is partial, so that claims of deliveries without an order change nothing that is indexed.
 */
export class Policy extends Migration {
  override up(): void {
    this.addSql('alter table account add column order_seq bigint');
    this.addSql('alter table destination add column transform text');
    this.addSql('alter table destination add column timeout_ms integer');
    this.addSql('alter table destination add column retry_schedule text');
    this.addSql('alter table destination add column max_concurrency integer');
    this.addSql('alter table destination add column rate_count integer');
    this.addSql('alter table destination add column rate_per_ms integer');
    this.addSql('alter table destination add column stop_on text');
    this.addSql('alter table destination add column order_by text');
    this.addSql('alter table event add column batch text');
    this.addSql('alter table attempt add column message text');
    this.addSql('alter table queue add column order_key text');
    this.addSql('alter table queue add column order_seq bigint');
    this.addSql(
      'create index queue_order_index on queue (destination_id, order_key, order_seq) where order_key is not null',
    );
    this.addSql('create table destination_rate (destination_id text not null primary key, next_at double not null)');
    this.addSql(`create table removed_route (
      event_id text not null,
      destination_id text not null,
      constraint removed_route_event_id_foreign foreign key (event_id) references event (id) on delete cascade,
      primary key (event_id, destination_id)
    ) without rowid`);
  }
}
