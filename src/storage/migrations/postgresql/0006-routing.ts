import { Migration } from '@mikro-orm/migrations';

/** Columns that may be null take no room in the rows that are there, and adding them rewrites no table. */
export class Routing extends Migration {
  override up(): void {
    this.addSql('alter table account add column event_type_path text');
    this.addSql('alter table account add column routing_version int not null default 1');
    this.addSql('alter table destination add column name text');
    this.addSql('alter table destination add column description text');
    this.addSql('alter table destination add column event_types text');
    this.addSql('alter table destination add column filter text');
    this.addSql('alter table event add column type text');
    this.addSql('alter table event add column skipped text');
  }
}
