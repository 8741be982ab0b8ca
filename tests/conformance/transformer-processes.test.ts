import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { Transforming } from '../support/transforming.ts';

const TEXT = { text: `${'a'.repeat(40)}!` };
/** Only the end of its process ends this one. */
const ENDLESS = '$match(text, /^(a+)+$/)';
/** This one notices its time itself. */
const LOOP = '( $f := function() { $f() }; $f() )';
const TIME = 'failed: The expression took more than 50 ms of processor time.';
const { execPath } = process;

let transforming: Transforming;

afterEach(async () => {
  process.execPath = execPath;
  await transforming.stop();
});

function onceReady(child: ChildProcess | undefined): Promise<unknown[]> {
  return once(child?.stdout as NodeJS.ReadableStream as never, 'data');
}

test('there is no process until one is needed, and none after some time without work', async () => {
  transforming = new Transforming({ idleMs: 1 });
  expect(transforming.processes).toHaveLength(0);
  for (const count of [1, 2]) {
    expect(await transforming.textOf('{"n": n}', { n: count })).toBe(`{"n":${count}}`);
    expect(transforming.processes).toHaveLength(count);
    await once(transforming.processes.at(-1) as ChildProcess, 'exit');
    expect(transforming.processes.at(-1)?.exitCode).toBe(0);
  }
});

test('an expression that is over its time costs its process only where nothing else would end it', async () => {
  transforming = new Transforming();
  expect(await transforming.textOf(LOOP)).toBe(TIME);
  expect(transforming.processes).toHaveLength(1);
  expect(transforming.logged).toEqual([]);
  expect(await transforming.textOf(ENDLESS, TEXT, { accountId: 'a', destinationId: 'd' })).toBe(TIME);
  expect(transforming.processes[0]?.signalCode).toBe('SIGKILL');
  expect(transforming.logged).toMatchObject([
    { level: 30, msg: 'transformation ended', accountId: 'a', destinationId: 'd', reason: 'time' },
  ]);
});

test('a process that was ended is replaced at once', async () => {
  transforming = new Transforming();
  expect(await transforming.textOf(ENDLESS, TEXT)).toBe(TIME);
  expect(transforming.running).toHaveLength(1);
  await onceReady(transforming.running[0]);
  expect(await transforming.textOf('{}', {}, { accountId: 'other' })).toBe('{}');
  expect(transforming.processes).toHaveLength(2);
});

test('those who wait behind slow expressions get a process of their own, and there are never more than two', async () => {
  transforming = new Transforming();
  const slow = Array.from({ length: 8 }, (_, n) => transforming.textOf(ENDLESS, TEXT, { destinationId: `slow ${n}` }));
  let slowUnderWay = slow.length;
  for (const one of slow) {
    void one.then(() => (slowUnderWay -= 1));
  }
  await transforming.textOf('{}', {}, { accountId: 'other' });
  while (slowUnderWay > 0) {
    expect(await transforming.textOf('{}', {}, { accountId: 'other' })).toBe('{}');
    expect(transforming.running.length).toBeLessThanOrEqual(2);
  }
  expect(await Promise.all(slow)).toEqual(slow.map(() => TIME));
});

test('a destination that was over its time runs only where there is another process for everybody else', async () => {
  transforming = new Transforming();
  expect(await transforming.textOf(LOOP)).toBe(TIME);
  expect(transforming.processes).toHaveLength(1);
  expect(await transforming.textOf('{}')).toBe('{}');
  expect(transforming.processes).toHaveLength(2);
  expect(transforming.running).toHaveLength(2);
});

test('what ran in a process that somebody ends is run again', async () => {
  transforming = new Transforming();
  await transforming.textOf('{}');
  const [stopped] = transforming.processes;
  stopped?.kill('SIGSTOP');
  const results = [1, 2, 3].map((n) => transforming.textOf('{"n": n}', { n }));
  stopped?.kill('SIGKILL');
  expect(await Promise.all(results)).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
  expect(transforming.running.length).toBeGreaterThan(0);
});

test('but not for ever: then it is an error, and no fault of the expression', async () => {
  transforming = new Transforming();
  const result = transforming.textOf(ENDLESS, TEXT).catch((error: Error) => error.message);
  for (const index of [0, 1, 2]) {
    const child = transforming.processes[index] as ChildProcess;
    // By then it has what it is to do.
    await onceReady(child);
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
  expect(await result).toContain('ended from outside');
  expect(await transforming.textOf('{}')).toBe('{}');
});

test('where no process can be started it is an error after some attempts, until one can', async () => {
  transforming = new Transforming();
  process.execPath = '/nowhere/node';
  await expect(transforming.transform('{}')).rejects.toThrow('No process for transformations can be started.');
  expect(transforming.logged).toMatchObject(Array.from({ length: 3 }, () => ({ level: 50, where: 'transform' })));
  process.execPath = execPath;
  expect(await transforming.textOf('{}')).toBe('{}');
});

test('a close ends everything, and answers what was under way with nothing', async () => {
  transforming = new Transforming();
  await transforming.textOf('{}');
  const results = [ENDLESS, '{}', '{"a": 1}'].map((expression) => transforming.textOf(expression, TEXT));
  const ended = once(transforming.processes[0] as ChildProcess, 'exit');
  transforming.transformer.close();
  await ended;
  expect(await Promise.all(results)).toEqual(['closed', 'closed', 'closed']);
  expect(await transforming.textOf('{}')).toBe('closed');
  expect(transforming.running).toEqual([]);
});

test('an endless expression ends even when the server is killed', async () => {
  transforming = new Transforming();
  const program = fileURLToPath(new URL('../support/endless-transformation.ts', import.meta.url));
  const server = fork(program, { execArgv: [], stdio: 'inherit' });
  const [pid] = (await once(server, 'message')) as [number];
  server.kill('SIGKILL');
  await once(server, 'exit');
  const deadline = Date.now() + 10_000;
  while (isRunning(pid)) {
    expect(Date.now()).toBeLessThan(deadline);
    await wait(10);
  }
});

/** A process that nobody has waited for yet runs no more. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
