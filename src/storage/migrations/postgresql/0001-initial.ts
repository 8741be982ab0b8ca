import { Migration } from '@mikro-orm/migrations';

export class Initial extends Migration {
  override up(): void {
    this.addSql(`create table account (
      id uuid not null primary key,
      email text not null,
      email_key text not null,
      name text not null,
      website text null,
      app_secret_token text not null,
      created_at timestamptz(3) not null,
      updated_at timestamptz(3) not null
    )`);
    this.addSql('create unique index account_email_key_unique on account (email_key)');
    this.addSql('create unique index account_app_secret_token_unique on account (app_secret_token)');

    this.addSql(`create table destination (
      id uuid not null primary key,
      account_id uuid not null,
      url text not null,
      http_method text not null,
      headers jsonb not null,
      created_at timestamptz(3) not null,
      updated_at timestamptz(3) not null,
      constraint destination_account_id_foreign foreign key (account_id) references account (id)
        on update no action on delete cascade
    )`);
    this.addSql('create index destination_account_id_index on destination (account_id)');

    this.addSql(`create table event (
      id uuid not null primary key,
      account_id uuid not null,
      payload bytea not null,
      received_at timestamptz(3) not null,
      constraint event_account_id_foreign foreign key (account_id) references account (id)
        on update no action on delete cascade
    )`);
    this.addSql('create index event_account_id_id_index on event (account_id, id)');

    this.addSql(`create table delivery (
      id uuid not null primary key,
      event_id uuid not null,
      destination_id uuid not null,
      status text not null,
      attempt_count int not null,
      round_start int not null,
      due_at timestamptz(3) null,
      completed_at timestamptz(3) null,
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
      delivery_id uuid not null,
      number int not null,
      started_at timestamptz(3) not null,
      duration_ms int not null,
      status_code int null,
      error text null,
      response_body bytea null,
      primary key (delivery_id, number),
      constraint attempt_delivery_id_foreign foreign key (delivery_id) references delivery (id)
        on update no action on delete cascade
    )`);
  }
}
