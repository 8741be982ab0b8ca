import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackgroundProgram } from './background-program.ts';
import { freePort } from './free-port.ts';

const PROGRAM = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((file) => existsSync(file));
const IS_ROOT = process.getuid?.() === 0;

export const HAS_PGBOUNCER = PROGRAM !== undefined;

/** PgBouncer in transaction mode: each transaction may go by another connection to the server. */
export class PrivatePgbouncer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'data-pusher-pgbouncer-'));
  readonly #program: BackgroundProgram;
  readonly #port: number;

  private constructor(server: URL, port: number, poolSize: number) {
    this.#port = port;
    const ini = join(this.#folder, 'pgbouncer.ini');
    const users = join(this.#folder, 'users');
    writeFileSync(users, `"${server.username}" ""\n`);
    writeFileSync(
      ini,
      `[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${poolSize}
`,
    );
    const [uid, gid] = IS_ROOT
      ? ['-u', '-g'].map((option) => idOfPostgres(option))
      : [process.getuid?.(), process.getgid?.()];
    chownSync(this.#folder, uid ?? 0, gid ?? 0);
    this.#program = new BackgroundProgram(PROGRAM ?? '', [ini], {
      uid: uid ?? 0,
      gid: gid ?? 0,
      cwd: this.#folder,
      env: process.env,
    });
  }

  /** @param server the URL of any database of the server behind it. */
  static async start(server: string, poolSize: number): Promise<PrivatePgbouncer> {
    const pgbouncer = new PrivatePgbouncer(new URL(server), await freePort(), poolSize);
    await pgbouncer.#program.said(/process up/u);
    return pgbouncer;
  }

  /** The way to the same database by PgBouncer. */
  urlOf(database: string): string {
    const url = new URL(database);
    url.host = `127.0.0.1:${this.#port}`;
    return url.href;
  }

  async stop(): Promise<void> {
    await this.#program.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function idOfPostgres(option: string): number {
  return Number(execFileSync('id', [option, 'postgres']).toString());
}
