import { Migration } from '@mikro-orm/migrations';

/** `attempt` is clustered by its key, because it is read by delivery only: it needs no second tree. */
export class Initial extends Migration {
  override up(): void {
    this.addSql(`create table account (
      id text not null primary key,
      email text not null,
      email_key text not null,
      name text not null,
      website text null,
      app_secret_token text not null,
      created_at datetime not null,
      updated_at datetime not null
    )`);
    this.addSql('create unique index account_email_key_unique on account (email_key)');
    this.addSql('create unique index account_app_secret_token_unique on account (app_secret_token)');

    this.addSql(`create table destination (
      id text not null primary key,
      account_id text not null,
      url text not null,
      http_method text not null,
      headers json not null,
      created_at datetime not null,
      updated_at datetime not null,
      constraint destination_account_id_foreign foreign key (account_id) references account (id)
        on update no action on delete cascade
    )`);
    this.addSql('create index destination_account_id_index on destination (account_id)');

    this.addSql(`create table event (
      id text not null primary key,
      account_id text not null,
      payload blob not null,
      received_at datetime not null,
      constraint event_account_id_foreign foreign key (account_id) references account (id)
        on update no action on delete cascade
    )`);
    this.addSql('create index event_account_id_id_index on event (account_id, id)');

    this.addSql(`create table delivery (
      id text not null primary key,
      event_id text not null,
      destination_id text not null,
      status text not null,
      attempt_count integer not null,
      round_start integer not null,
      due_at datetime null,
      completed_at datetime null,
      constraint delivery_event_id_foreign foreign key (event_id) references event (id)
        on update no action on delete cascade,
      constraint delivery_destination_id_foreign foreign key (destination_id) references destination (id)
        on update no action on delete cascade
    )`);
    this.addSql('create index delivery_event_id_index on delivery (event_id)');
    this.addSql('create index delivery_destination_id_id_index on delivery (destination_id, id)');
    this.addSql(`create index delivery_due_index on delivery (destination_id, due_at) where status = 'PENDING'`);
    this.addSql(`create index delivery_failed_index on delivery (destination_id, id) where status = 'FAILED'`);

    this.addSql(`create table attempt (
      delivery_id text not null,
      number integer not null,
      started_at datetime not null,
      duration_ms integer not null,
      status_code integer null,
      error text null,
      response_body blob null,
      primary key (delivery_id, number),
      constraint attempt_delivery_id_foreign foreign key (delivery_id) references delivery (id)
        on update no action on delete cascade
    ) without rowid`);
  }
}
