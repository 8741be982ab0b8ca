import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PROGRAM, type ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';
import type { Honest } from './honest-caller.ts';

const OPEN_FILES = 256;
const CALM_MS = 5_000;
const ATTACK_MS = 20_000;
/** Longer than the server waits for slow headers. */
const RECOVERY_MS = 15_000;
const MIB = 1024;

export interface Outcome {
  readonly name: string;
  /** Connections or requests. */
  readonly attacks: number;
  /** Of the honest caller. */
  readonly answered: number;
  readonly unanswered: number;
  readonly 'p99 before, ms': number;
  readonly 'p99 during, ms': number;
  readonly 'p99 after, ms': number;
  readonly 'MiB before': number;
  readonly 'MiB peak': number;
  readonly 'MiB after': number;
}

export async function attacked(name: string): Promise<Outcome> {
  const bench = new Workbench();
  const children: ChildProcess[] = [];
  try {
    const adminToken = randomBytes(24).toString('hex');
    const server = await startExposed(bench, adminToken);
    const [honest, attacker] = [await createAccount(server, adminToken), await createAccount(server, adminToken)];
    const calls: Honest[] = [];
    children.push(run('honest-caller.ts', [server.urls.ingest, honest], (call) => calls.push(call as Honest)));
    await setTimeout(CALM_MS);
    const before = { calls: calls.splice(0), memory: residentMiB(server.pid) };
    let attacks = 0;
    const origin = new URL(server.urls.ingest).origin;
    const attackerProcess = run('attacker.ts', [name, origin, attacker], (count) => {
      attacks = count as number;
    });
    children.push(attackerProcess);
    const peak = await peakMiB(server.pid, ATTACK_MS);
    const during = calls.splice(0);
    attackerProcess.kill('SIGKILL');
    await setTimeout(RECOVERY_MS);
    const all = [...before.calls, ...during, ...calls];
    return {
      name,
      attacks,
      answered: all.filter(({ status }) => status === 202).length,
      unanswered: all.filter(({ status }) => status !== 202).length,
      'p99 before, ms': p99(before.calls),
      'p99 during, ms': p99(during),
      'p99 after, ms': p99(calls),
      'MiB before': before.memory,
      'MiB peak': peak,
      'MiB after': residentMiB(server.pid),
    };
  } finally {
    for (const child of children) {
      child.kill('SIGKILL');
    }
    await bench.clear();
  }
}

function startExposed(bench: Workbench, adminToken: string): Promise<ServerProcess> {
  const variables = {
    HOST: '0.0.0.0',
    ADMIN_TOKEN: adminToken,
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    LOG_LEVEL: 'error',
  };
  const limited = ['prlimit', `--nofile=${OPEN_FILES}`, process.execPath, PROGRAM];
  return bench.start(variables, { command: limited });
}

async function createAccount(server: ServerProcess, adminToken: string): Promise<string> {
  const email = `${crypto.randomUUID()}@example.com`;
  const response = await fetch(server.urls.graphql, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${adminToken}` },
    body: JSON.stringify({
      query: `mutation { createAccount(input: { email: "${email}", name: "A" }) { appSecretToken } }`,
    }),
  });
  const { data } = (await response.json()) as { data: { createAccount: { appSecretToken: string } } };
  return data.createAccount.appSecretToken;
}

function run(file: string, args: readonly string[], onMessage: (message: unknown) => void): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return child.on('message', onMessage);
}

async function peakMiB(pid: number, forMs: number): Promise<number> {
  let peak = 0;
  for (const end = performance.now() + forMs; performance.now() < end; ) {
    await setTimeout(200);
    peak = Math.max(peak, residentMiB(pid));
  }
  return peak;
}

function residentMiB(pid: number): number {
  return Math.round(Number(/^VmRSS:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / MIB);
}

function p99(calls: readonly Honest[]): number {
  const sorted = calls.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN);
}
