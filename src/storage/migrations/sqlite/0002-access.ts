import { Migration } from '@mikro-orm/migrations';
import { hashToken } from '../../../core/secrets.ts';

/** Tokens are found by their hash. The next start, which has the key, encrypts plain secrets. */
export class Access extends Migration {
  override async up(): Promise<void> {
    this.addSql('drop index account_app_secret_token_unique');
    this.addSql('alter table account rename column app_secret_token to token_hash');
    this.addSql(`alter table account add column sealed_token text not null default ''`);
    this.addSql('update account set sealed_token = token_hash');
    const tokens = (await this.execute('select id, app_secret_token as token from account')) as Row[];
    for (const { id, token } of tokens) {
      this.addSql(`update account set token_hash = '${hashToken(token)}' where id = '${id}'`);
    }
    this.addSql('create unique index account_token_hash_unique on account (token_hash)');

    this.addSql(`alter table destination add column sealed_headers text not null default ''`);
    this.addSql('update destination set sealed_headers = headers');
    this.addSql('alter table destination drop column headers');
    this.addSql(`alter table destination add column sealed_signing_secret text not null default ''`);
    this.addSql('alter table destination add column sealed_previous_secret text null');
    this.addSql('alter table destination add column previous_secret_until datetime null');
    this.addSql('alter table destination add column disabled_at datetime null');

    this.addSql('alter table event add column idempotency_key text null');
    this.addSql(
      'create unique index event_idempotency_key_unique on event (account_id, idempotency_key) where idempotency_key is not null',
    );
  }
}

interface Row {
  readonly id: string;
  readonly token: string;
}
