import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { Workbench } from '../support/workbench.ts';

const IN_ORDER = { MAX_CONCURRENCY: '2', MAX_CONCURRENCY_PER_DESTINATION: '2' };
const EVENTS = 10;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
});

describe('SIGTERM', () => {
  test('finishes what is under way, and leaves the rest for the next start, without counting an attempt twice', async () => {
    const held: ServerResponse[] = [];
    const receiver = await bench.receiver((response) => void held.push(response));
    const first = await bench.start(IN_ORDER);
    const { id, token } = await first.createAccount();
    const destinationId = await first.createDestination(id, receiver.url());
    for (let number = 0; number < EVENTS; number += 1) {
      await first.sendAccepted(token, `{"number":${number}}`);
    }
    await receiver.arrived(2);

    first.signal('SIGTERM');
    await first.eventually(
      () => isListening(first),
      (listening) => !listening,
    );
    for (const response of held) {
      response.end('done');
    }
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(receiver.received).toHaveLength(2);

    receiver.answerWith((response) => response.end());
    const second = await bench.start(IN_ORDER);
    await receiver.arrived(EVENTS);
    const deliveries = await second.eventually(() => deliveriesOf(second, destinationId), areSucceeded);
    expect(deliveries).toHaveLength(EVENTS);
    for (const { attemptCount, attempts } of deliveries) {
      expect({ attemptCount, attempts }).toEqual({ attemptCount: 1, attempts: [{ number: 1, error: null }] });
    }
    expect(receiver.received).toHaveLength(EVENTS);
  });

  test('does not wait for a destination that hangs longer than SHUTDOWN_TIMEOUT, and the next start sends again', async () => {
    const receiver = await bench.receiver(() => undefined);
    const first = await bench.start({ SHUTDOWN_TIMEOUT: '1s' });
    const { id, token } = await first.createAccount();
    const destinationId = await first.createDestination(id, receiver.url());
    await first.sendAccepted(token, '{}');
    await receiver.arrived(1);

    const stopping = performance.now();
    expect(await first.end()).toEqual({ code: 0, signal: null });
    const stopMs = performance.now() - stopping;
    expect(stopMs).toBeGreaterThan(900);
    expect(stopMs).toBeLessThan(5_000);

    receiver.answerWith((response) => response.end());
    const restarting = performance.now();
    const second = await bench.start();
    const [before, after] = await receiver.arrived(2);
    expect(performance.now() - restarting).toBeLessThan(10_000);
    expect(after?.headers['webhook-id']).toBe(before?.headers['webhook-id']);
    const [delivery] = await second.eventually(() => deliveriesOf(second, destinationId), areSucceeded);
    // The request that was broken off may have been acted upon: it counts, though there is nothing to record of it.
    expect(delivery).toMatchObject({ attemptCount: 2, attempts: [{ number: 2, error: null }] });
  });

  test('ends within SHUTDOWN_TIMEOUT though a client keeps its connection and another never finishes its request', async () => {
    const server = await bench.start({ SHUTDOWN_TIMEOUT: '1s' });
    const { token } = await server.createAccount();
    await server.sendAccepted(token, '{}');
    const endless = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{"a":')) });
    const unfinished = fetch(server.urls.ingest, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'CL-X-TOKEN': token },
      body: endless,
      duplex: 'half',
    }).catch(() => 'cut off');
    await server.sendAccepted(token, '{}');

    const stopping = performance.now();
    expect(await server.end()).toEqual({ code: 0, signal: null });
    expect(performance.now() - stopping).toBeLessThan(5_000);
    expect(await unfinished).toBe('cut off');
  });

  test('answers every event that it stored, and does not wait for the connections that clients keep', async () => {
    const server = await bench.start();
    const { id, token } = await server.createAccount();
    const answers = Array.from({ length: 200 }, (_, number) =>
      server.send(token, `{"number":${number}}`).then(
        ({ status }) => status,
        () => 'no connection',
      ),
    );
    await Promise.any(answers);
    const stopping = performance.now();
    expect(await server.end()).toEqual({ code: 0, signal: null });
    expect(performance.now() - stopping).toBeLessThan(5_000);
    const accepted = (await Promise.all(answers)).filter((answer) => answer === 202);

    const next = await bench.start();
    const query = 'query ($id: ID!) { account(id: $id) { events(first: 1) { totalCount } } }';
    const { account } = await next.data(query, { id });
    expect(account.events.totalCount).toBe(accepted.length);
  });

  test('a second signal right after the first, as npm repeats it, does not cut the stop short', async () => {
    const { server, held } = await withOneHeld();
    // Of the same kind they might arrive as one.
    server.signal('SIGTERM');
    server.signal('SIGINT');
    await server.eventually(
      () => isListening(server),
      (listening) => !listening,
    );
    expect(server.isRunning).toBe(true);
    held[0]?.end();
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect(server.stderr).toMatch(/"unfinished":0,"msg":"stopped"/u);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s again a second later ends the process at once, whatever is under way', async (signal, code) => {
    const { server } = await withOneHeld({ SHUTDOWN_TIMEOUT: '1h' });
    const began = performance.now();
    await server.eventually(
      async () => {
        server.signal(signal);
        return Promise.race([server.exited, isListening(server)]);
      },
      () => !server.isRunning,
    );
    expect(performance.now() - began).toBeGreaterThan(1_000);
    expect(await server.exited).toEqual({ code, signal: null });
    expect(server.stderr).toMatch(new RegExp(`\\nEnded by a second ${signal}, [^\\n]*\\.\\n$`, 'u'));
  });
});

/** A server that makes a delivery which does not end by itself. */
async function withOneHeld(variables: Record<string, string> = {}) {
  const held: ServerResponse[] = [];
  const receiver = await bench.receiver((response) => void held.push(response));
  const server = await bench.start(variables);
  const { id, token } = await server.createAccount();
  await server.createDestination(id, receiver.url());
  await server.sendAccepted(token, '{}');
  await receiver.arrived(1);
  return { server, held };
}

interface DeliveryShown {
  readonly status: string;
  readonly attemptCount: number;
  readonly attempts: readonly { number: number; error: string | null }[];
}

async function deliveriesOf(client: ApiClient, destinationId: string): Promise<readonly DeliveryShown[]> {
  const query = `query ($id: ID!) {
    destination(id: $id) { deliveries(first: 100) { nodes { status attemptCount attempts { number error } } } }
  }`;
  return (await client.data(query, { id: destinationId })).destination.deliveries.nodes;
}

function areSucceeded(deliveries: readonly DeliveryShown[]): boolean {
  return deliveries.every(({ status }) => status === 'SUCCEEDED');
}

async function isListening(client: ApiClient): Promise<boolean> {
  const headers = { Connection: 'close' };
  return fetch(`${client.urls.health}/live`, { headers }).then(
    () => true,
    () => false,
  );
}
