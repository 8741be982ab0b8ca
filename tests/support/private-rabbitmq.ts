import { execFile, execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BackgroundProgram, type Surroundings } from './background-program.ts';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const PACKAGE = '/usr/lib/rabbitmq/bin';
const DISK_LIMIT_BYTES = 1_000_000;
/** No disk has as much. */
const ALARMING_DISK_LIMIT_BYTES = 10 ** 18;

/** Where RabbitMQ's programs are on this machine, if they are. */
export const RABBITMQ_PROGRAMS = existsSync(join(PACKAGE, 'rabbitmq-server')) ? PACKAGE : undefined;

interface Ports {
  readonly amqp: number;
  readonly distribution: number;
  readonly names: number;
}

interface Permissions {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

/**
 * A RabbitMQ of the test's own, that it may kill, wipe and alarm. Nothing of /etc/rabbitmq is read, no plug-in is
 * enabled, and the names of nodes are looked up in a daemon of its own. It never runs as root.
 */
export class PrivateRabbitmq {
  readonly #folder = mkdtempSync(join(tmpdir(), 'data-pusher-rabbitmq-'));
  readonly #data = join(this.#folder, 'data');
  readonly #ports: Ports;
  readonly #owner = ownerOfServer();
  #names: BackgroundProgram | undefined;
  #server: BackgroundProgram | undefined;

  private constructor(ports: Ports) {
    this.#ports = ports;
    writeFileSync(
      this.#path('rabbitmq.conf'),
      [
        `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
        `disk_free_limit.absolute = ${DISK_LIMIT_BYTES}`,
        'log.console = true',
        'log.file = false',
        '',
      ].join('\n'),
    );
    writeFileSync(this.#path('enabled_plugins'), '[].\n');
    writeFileSync(this.#path('rabbitmq-env.conf'), '');
    mkdirSync(this.#path('log'));
    for (const path of [this.#folder, this.#path('log')]) {
      chownSync(path, this.#owner.uid, this.#owner.gid);
    }
  }

  static async start(): Promise<PrivateRabbitmq> {
    const [amqp, distribution, names] = [await freePort(), await freePort(), await freePort()];
    const rabbitmq = new PrivateRabbitmq({ amqp, distribution, names });
    await rabbitmq.start();
    return rabbitmq;
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.#ports.amqp}`;
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<void> {
    // The server would leave one behind that nobody ends.
    this.#names ??= await this.#startNames();
    this.#server = this.#spawn(join(PACKAGE, 'rabbitmq-server'));
    await this.#server.said(/completed with \d+ plugins/u);
  }

  /** Resolves when the server has written something like this since it was started. */
  async said(pattern: RegExp): Promise<void> {
    await this.#server?.said(pattern);
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
    this.#server = undefined;
  }

  /** As if the disk had been replaced; the server must not run. */
  wipe(): void {
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** From now on the server takes no message, until the alarm is cleared. */
  async raiseDiskAlarm(): Promise<void> {
    await this.#control('set_disk_free_limit', String(ALARMING_DISK_LIMIT_BYTES));
    await this.said(/disk resource limit alarm set/u);
  }

  async clearDiskAlarm(): Promise<void> {
    await this.#control('set_disk_free_limit', String(DISK_LIMIT_BYTES));
    await this.said(/disk resource limit alarm cleared/u);
  }

  /** @returns the address for a new user; each permission is a pattern of names. */
  async addUser(name: string, { configure, write, read }: Permissions): Promise<string> {
    await this.#control('add_user', name, name);
    await this.#control('set_permissions', name, configure, write, read);
    return this.url.replace('//', `//${name}:${name}@`);
  }

  async remove(): Promise<void> {
    await this.kill();
    await this.#names?.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startNames(): Promise<BackgroundProgram> {
    const names = this.#spawn('epmd', '-d', '-d', '-address', '127.0.0.1', '-port', String(this.#ports.names));
    await names.said(/entering the main select/u);
    return names;
  }

  #spawn(file: string, ...options: string[]): BackgroundProgram {
    return new BackgroundProgram(file, options, this.#surroundings());
  }

  async #control(...command: string[]): Promise<void> {
    await run(join(PACKAGE, 'rabbitmqctl'), command, this.#surroundings());
  }

  #surroundings(): Surroundings {
    return { ...this.#owner, cwd: this.#folder, env: this.#environment() };
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      LANG: 'C.UTF-8',
      HOME: this.#folder,
      RABBITMQ_NODENAME: 'data_pusher_test@localhost',
      RABBITMQ_MNESIA_BASE: this.#data,
      RABBITMQ_LOG_BASE: this.#path('log'),
      RABBITMQ_PID_FILE: this.#path('rabbitmq.pid'),
      RABBITMQ_CONFIG_FILE: this.#path('rabbitmq.conf'),
      RABBITMQ_CONF_ENV_FILE: this.#path('rabbitmq-env.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: this.#path('advanced.config'),
      RABBITMQ_GENERATED_CONFIG_DIR: this.#path('config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: this.#path('enabled_plugins'),
      RABBITMQ_DIST_PORT: String(this.#ports.distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      ERL_EPMD_ADDRESS: '127.0.0.1',
      ERL_EPMD_PORT: String(this.#ports.names),
    };
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** The user that the package made, where the tests run as root. */
function ownerOfServer(): { uid: number; gid: number } {
  const [uid, gid] = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
  return uid === 0 ? { uid: idOfServer('-u'), gid: idOfServer('-g') } : { uid, gid };
}

function idOfServer(option: '-u' | '-g'): number {
  return Number(execFileSync('id', [option, 'rabbitmq']).toString());
}
