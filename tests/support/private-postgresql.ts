import { execFile, execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const PACKAGES = '/usr/lib/postgresql';
const IS_ROOT = process.getuid?.() === 0;

/** Where PostgreSQL's programs are on this machine, if they are. */
export const POSTGRESQL_PROGRAMS = newestPrograms();

/** A PostgreSQL of the test's own, that it may stop and freeze. It never runs as root. */
export class PrivatePostgresql {
  readonly #folder = mkdtempSync(join(tmpdir(), 'data-pusher-postgresql-'));
  readonly #data = join(this.#folder, 'data');
  readonly #port: number;

  private constructor(port: number) {
    this.#port = port;
    if (IS_ROOT) {
      chownSync(this.#folder, Number(execFileSync('id', ['-u', 'postgres']).toString()), 0);
    }
  }

  static async start(): Promise<PrivatePostgresql> {
    const postgresql = new PrivatePostgresql(await freePort());
    await postgresql.#run('initdb', '--username=tester', '--auth=trust', '--encoding=UTF8', '--locale=C');
    await postgresql.start();
    return postgresql;
  }

  get url(): string {
    return `postgresql://tester@127.0.0.1:${this.#port}/postgres`;
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<void> {
    const options = `-p ${this.#port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''`;
    await this.#run('pg_ctl', 'start', '--silent', '--wait', `--log=${join(this.#folder, 'log')}`, '-o', options);
  }

  /** As a crash would: nothing is finished, nothing written out. */
  async stopImmediately(): Promise<void> {
    await this.#run('pg_ctl', 'stop', '--silent', '--wait', '--mode=immediate');
  }

  /** Connections stay open and are even taken, but nobody answers. */
  freeze(): void {
    this.#signalAll('SIGSTOP');
  }

  thaw(): void {
    this.#signalAll('SIGCONT');
  }

  async remove(): Promise<void> {
    if (existsSync(join(this.#data, 'postmaster.pid'))) {
      this.thaw();
      await this.stopImmediately();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #signalAll(signal: NodeJS.Signals): void {
    const parent = Number(readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')[0]);
    // The parent first, so that it has no more children than are found.
    process.kill(parent, signal);
    const children = execFileSync('pgrep', ['-P', String(parent)])
      .toString()
      .trim()
      .split('\n');
    for (const child of children) {
      process.kill(Number(child), signal);
    }
  }

  async #run(program: string, ...options: string[]): Promise<void> {
    const command = [join(POSTGRESQL_PROGRAMS ?? '', program), ...options.slice(0, 1), `--pgdata=${this.#data}`];
    const [file = '', ...rest] = [...(IS_ROOT ? ['runuser', '-u', 'postgres', '--'] : []), ...command];
    await run(file, [...rest, ...options.slice(1)], { cwd: this.#folder });
  }
}

function newestPrograms(): string | undefined {
  const versions = existsSync(PACKAGES) ? readdirSync(PACKAGES).toSorted((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(PACKAGES, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')));
}
