import { Migration } from '@mikro-orm/migrations';

/** The start that encrypted plain secrets may have been interrupted before it erased them: repeat the erasure. */
export class Setting extends Migration {
  override async up(): Promise<void> {
    this.addSql('create table setting (name text not null, value text not null, primary key (name))');
    this.addSql(`insert into setting (name, value) select 'erase-due', 'yes' where exists (select 1 from account)`);
  }
}
