import { Migration } from '@mikro-orm/migrations';

/**
 * Pending deliveries get a small table of their own; see docs/decisions/0005. SQLite drops a foreign key only with its
 * table. The children come first, because dropping a parent deletes its rows, and that cascades.
 */
export class Queue extends Migration {
  override up(): void {
    this.addSql('alter table account add column deleted_at datetime null');
    this.addSql('alter table destination add column version integer not null default 1');
    this.addSql('alter table destination add column deleted_at datetime null');
    this.addSql('alter table event add column hops integer not null default 0');

    this.addSql(`create table queue (
      delivery_id text not null primary key,
      event_id text not null,
      destination_id text not null,
      attempt_count integer not null,
      round_start integer not null,
      lost_count integer not null,
      due_at datetime not null,
      leased_until datetime null,
      lease_blame integer not null default 1,
      waits integer not null
    )`);
    this.addSql(`insert into queue
      select d.id, d.event_id, d.destination_id, d.attempt_count, d.round_start, 0, d.due_at,
        case when d.attempt_count > d.round_start and a.delivery_id is null then d.due_at end, 1,
        a.delivery_id is not null
      from delivery d left join attempt a on a.delivery_id = d.id and a.number = d.attempt_count
      where d.status = 'PENDING'`);
    this.addSql('create index queue_destination_id_due_at_index on queue (destination_id, due_at)');
    this.addSql('create index queue_waits_due_at_index on queue (due_at) where waits');

    this.addSql(`create table attempt_new (
      delivery_id text not null,
      number integer not null,
      started_at datetime not null,
      duration_ms integer not null,
      status_code integer null,
      error text null,
      response_body blob null,
      destination_version integer null,
      primary key (delivery_id, number)
    ) without rowid`);
    this.addSql('insert into attempt_new select *, null from attempt');
    this.addSql('drop table attempt');
    this.addSql('alter table attempt_new rename to attempt');

    this.addSql(`create table delivery_new (
      id text not null primary key,
      event_id text not null,
      destination_id text not null,
      status text not null,
      attempt_count integer not null,
      completed_at datetime null
    )`);
    this.addSql(`insert into delivery_new
      select id, event_id, destination_id, status, attempt_count, completed_at from delivery`);
    this.addSql('drop table delivery');
    this.addSql('alter table delivery_new rename to delivery');
    this.addSql('create index delivery_destination_id_status_id_index on delivery (destination_id, status, id)');
  }
}
