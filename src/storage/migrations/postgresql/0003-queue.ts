import { Migration } from '@mikro-orm/migrations';

/** Pending deliveries get a small table of their own; see docs/decisions/0005. */
export class Queue extends Migration {
  override up(): void {
    this.addSql('alter table account add column deleted_at timestamptz(3) null');
    this.addSql('alter table destination add column version int not null default 1');
    this.addSql('alter table destination add column deleted_at timestamptz(3) null');
    this.addSql('alter table event add column hops int not null default 0');
    this.addSql('alter table attempt drop constraint attempt_delivery_id_foreign');
    this.addSql('alter table attempt add column destination_version int null');

    // Half of each page stays free for the claims of its rows. Vacuum runs early, because all rows die young.
    this.addSql(`create table queue (
      delivery_id uuid not null primary key,
      event_id uuid not null,
      destination_id uuid not null,
      attempt_count int not null,
      round_start int not null,
      lost_count int not null,
      due_at timestamptz(3) not null,
      leased_until timestamptz(3) null,
      lease_blame int not null default 1,
      waits boolean not null
    ) with (
      fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
      autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000
    )`);
    this.addSql(`insert into queue
      select d.id, d.event_id, d.destination_id, d.attempt_count, d.round_start, 0, d.due_at,
        case when d.attempt_count > d.round_start and a.delivery_id is null then d.due_at end, 1,
        a.delivery_id is not null
      from delivery d left join attempt a on a.delivery_id = d.id and a.number = d.attempt_count
      where d.status = 'PENDING'`);
    this.addSql('create index queue_destination_id_due_at_index on queue (destination_id, due_at)');
    this.addSql('create index queue_waits_due_at_index on queue (due_at) where waits');

    this.addSql('alter table delivery drop constraint delivery_event_id_foreign');
    this.addSql('alter table delivery drop constraint delivery_destination_id_foreign');
    this.addSql('drop index delivery_event_id_index');
    this.addSql('drop index delivery_destination_id_id_index');
    this.addSql('drop index delivery_due_index');
    this.addSql('drop index delivery_failed_index');
    this.addSql('alter table delivery drop column due_at');
    this.addSql('alter table delivery drop column round_start');
    this.addSql('create index delivery_destination_id_status_id_index on delivery (destination_id, status, id)');
  }
}
