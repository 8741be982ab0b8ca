/**
 * The program of a process that transforms: takes orders from its input, one after the other, and answers on its
 * output. It ends with its input.
 */
import { Worker } from 'node:worker_threads';
import { evaluate, failure, meter, type Outcome, parse } from './expressions.ts';
import { harden } from './hardening.ts';
import { processMs } from './meter.ts';
import type { Watched } from './monitor.ts';
import { CPU_MS_MAX, FrameReader, type Order, packAnswer, REASONS, unpackOrder } from './protocol.ts';

// Ctrl-C reaches all processes of a terminal; the server decides when its own end.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// JSONata asks for the stack with each error, and nobody reads it.
Error.stackTraceLimit = 0;

const { stdin, stdout } = process;
const watched: Watched = {
  running: new Int32Array(new SharedArrayBuffer(4)),
  startedAtCpuMs: new Float64Array(new SharedArrayBuffer(8)),
};
const frames = new FrameReader();
const orders: Order[] = [];
let number = 0;
let isRunning = false;

stdin.on('end', () => process.exit());
stdin.on('data', (chunk: Buffer) => {
  orders.push(...frames.push(chunk).map(unpackOrder));
  void runAll();
});
stdin.pause();

const monitorStarted = startMonitor();
await warmUp();
await harden();
await monitorStarted;
stdin.resume();
// Tells the server that it is ready.
stdout.write(Buffer.alloc(4));

async function startMonitor(): Promise<void> {
  const file = import.meta.url.endsWith('.ts') ? './monitor.ts' : './monitor.js';
  const monitor = new Worker(new URL(file, import.meta.url), { workerData: watched, stdin: false });
  await new Promise((resolve, reject) => {
    // Its own start takes processor time of the process, which is not to be an expression's cost.
    monitor.once('message', resolve);
    monitor.once('error', reject);
  });
  monitor.on('exit', () => process.exit(1));
  monitor.unref();
}

/** The engine compiles what JSONata needs for its first expression, which is not to be that expression's cost. */
async function warmUp(): Promise<void> {
  const payload = Buffer.from('{"a":[{"b":1,"c":"x"},{"b":2,"c":"y"}]}');
  const expression =
    '{"n": $sum(a.b), "s": $join(a.c, "-") & "!", "m": $map(a[b>1], function($v) {$v.b * 2}), "o": a{c: b}}';
  for (let round = 0; round < 20; round += 1) {
    await evaluate('', expression, payload);
  }
}

async function runAll(): Promise<void> {
  if (isRunning) {
    return;
  }
  isRunning = true;
  for (let order = orders.shift(); order !== undefined; order = orders.shift()) {
    await run(order);
  }
  isRunning = false;
}

async function run(order: Order): Promise<void> {
  watched.startedAtCpuMs[0] = processMs();
  meter.start();
  number = (number % 0x7fff_ffff) + 1;
  Atomics.store(watched.running, 0, number);
  Atomics.notify(watched.running, 0);
  const outcome = await outcomeOf(order);
  const cpuMs = meter.stop();
  Atomics.store(watched.running, 0, 0);
  const { isFailure, body } = cpuMs > CPU_MS_MAX ? failure(REASONS.time) : outcome;
  const answer = packAnswer({ isFailure, cpuMs, body });
  // Gone before the next one begins: what ends this process must not take it along.
  await new Promise((resolve) => stdout.write(answer, resolve));
}

async function outcomeOf({ kind, accountId, expression, payload }: Order): Promise<Outcome> {
  return kind === 'parse' ? parse(accountId, expression) : evaluate(accountId, expression, payload);
}
