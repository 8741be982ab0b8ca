import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Processor time in seconds; what cannot be seen from here is `undefined`. */
export interface ProcessorTime {
  readonly server: number | undefined;
  /** Of the whole PostgreSQL server, whoever uses it. */
  readonly database: number | undefined;
  readonly broker: number | undefined;
}

interface ProcessStat {
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended and were waited for. */
  readonly endedChildren: number;
}

const LISTENING = '0A';
const UNSEEN: ProcessorTime = { server: undefined, database: undefined, broker: undefined };

/** What an installation costs from the start of this on, on Linux, with database and broker on the same machine. */
export class ProcessorMeter {
  readonly #serverPids: readonly number[];
  readonly #databasePid: number | undefined;
  readonly #brokerPid: number | undefined;
  readonly #before: ProcessorTime;

  /** @param variables that name the database and the broker */
  constructor(serverPids: readonly number[], variables: Readonly<Record<string, string>>) {
    this.#serverPids = serverPids;
    this.#databasePid = listenerOf(variables['DATABASE_URL'] ?? '', '5432');
    this.#brokerPid = listenerOf(variables['QUEUE_URL'] ?? '', '5672');
    this.#before = this.#read();
  }

  used(): ProcessorTime {
    const now = this.#read();
    const since = (part: keyof ProcessorTime) => {
      const [from, to] = [this.#before[part], now[part]];
      return from === undefined || to === undefined ? undefined : to - from;
    };
    return { server: since('server'), database: since('database'), broker: since('broker') };
  }

  #read(): ProcessorTime {
    if (process.platform !== 'linux') {
      return UNSEEN;
    }
    const all = allProcesses();
    const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK']).toString());
    const seconds = (pid: number | undefined, ticks: (stat: ProcessStat) => number) => {
      const stat = pid === undefined ? undefined : all.get(pid);
      return stat && ticks(stat) / ticksPerSecond;
    };
    // The parent counts its children's time once they have ended, so that nothing is missed or counted twice.
    const children = [...all.values()].filter(({ parent }) => parent === this.#databasePid);
    const ofChildren = children.reduce((sum, { own }) => sum + own, 0);
    return {
      server: this.#serverPids.reduce((sum, pid) => sum + (seconds(pid, ({ own }) => own) ?? 0), 0),
      database: seconds(this.#databasePid, ({ own, endedChildren }) => own + endedChildren + ofChildren),
      broker: seconds(this.#brokerPid, ({ own }) => own),
    };
  }
}

/** The process of this machine that listens where the URL leads, if there is one and we may see it. */
function listenerOf(address: string, defaultPort: string): number | undefined {
  const url = URL.parse(address);
  if (process.platform !== 'linux' || url === null || !['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)) {
    return undefined;
  }
  const port = Number(url.port === '' ? defaultPort : url.port);
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'];
  const sockets = new Set(tables.flatMap((table) => listeningSockets(table, port)));
  return processIds().find((pid) => openFiles(pid).some((file) => sockets.has(file)));
}

/** In the form in which they stand among the open files of a process. */
function listeningSockets(table: string, port: number): string[] {
  return attempt(() => readFileSync(table, 'utf8'), '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
    .filter(([, local, , state]) => state === LISTENING && Number.parseInt(local?.split(':')[1] ?? '', 16) === port)
    .map((fields) => `socket:[${fields[9]}]`);
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return attempt(() => readdirSync(folder), []).map((name) => attempt(() => readlinkSync(`${folder}/${name}`), ''));
}

function processIds(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

function allProcesses(): Map<number, ProcessStat> {
  const texts = processIds().map((pid) => [pid, attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'), '')] as const);
  return new Map(texts.filter(([, text]) => text !== '').map(([pid, text]) => [pid, statOf(text)]));
}

/** The fields after the name, which may have spaces and brackets in it, are those of proc(5) from the third on. */
function statOf(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (...numbers: number[]) => numbers.reduce((sum, number) => sum + Number(fields[number - 3]), 0);
  return { parent: Number(fields[1]), own: ticks(14, 15), endedChildren: ticks(16, 17) };
}

/** Processes end while they are looked at, and not all may be looked at. */
function attempt<Result>(read: () => Result, otherwise: Result): Result {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
