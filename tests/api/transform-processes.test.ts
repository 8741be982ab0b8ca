import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { deliveriesOf, finishedDelivery } from '../support/deliveries.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

let receiver: Receiver;
let app: TestApp;
let processes: ChildProcess[];

// Node tells of every process that is made.
function onProcess(message: unknown): void {
  processes.push((message as { process: ChildProcess }).process);
}

beforeEach(async () => {
  receiver = await Receiver.start();
  app = await TestApp.start({ SHUTDOWN_TIMEOUT: '2s' });
  processes = [];
  subscribe('child_process', onProcess);
});
afterEach(async () => {
  unsubscribe('child_process', onProcess);
  await receiver.stop();
});

test('there is a process only once something is transformed, and none when the server has stopped', async () => {
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url());
  await finishedDelivery(app, await app.sendAccepted(token, '{"n":1}'));
  expect(processes).toEqual([]);
  await app.createDestination(id, receiver.url(), { transform: '{"n": n + 1}' });
  await app.sendAccepted(token, '{"n":1}');
  await receiver.arrived(3);
  expect(processes).toHaveLength(1);
  const ended = once(processes[0] as ChildProcess, 'exit');
  await app.stop();
  await ended;
});

test('a server that stops ends with all its processes, whatever waits to be transformed', async () => {
  const { id, token } = await app.createAccount();
  await app.createDestination(id, receiver.url(), { transform: '$match(text, /^(a+)+$/)' });
  const text = JSON.stringify({ text: `${'a'.repeat(40)}!` });
  const events = await Promise.all(Array.from({ length: 30 }, () => app.sendAccepted(token, text)));
  await app.eventually(
    () => deliveriesOf(app, events[0] ?? ''),
    ([first]) => first?.status === 'FAILED',
  );
  await app.stop();
  const running = processes.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await Promise.all(running.map((one) => once(one, 'exit')));
  expect(receiver.received).toEqual([]);
});
