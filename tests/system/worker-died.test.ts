import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { Workbench } from '../support/workbench.ts';

const QUERY = `query ($id: ID!) { event(id: $id) { deliveries {
  status attemptCount destination { url } attempts { number error statusCode }
} } }`;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clear());

test('a delivery that ends its process each time is failed after three attempts, and others arrive', async () => {
  // An attempt may come before the start of its server is known here.
  let starting = bench.start();
  await using deadly = await Receiver.start(() => void starting.then((one) => one.signal('SIGKILL')));
  await using sound = await Receiver.start();
  let server = await starting;
  const { id, token } = await server.createAccount();
  for (const url of [deadly.url(), sound.url()]) {
    await server.createDestination(id, url);
  }
  const response = await fetch(server.urls.ingest, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'CL-X-TOKEN': token },
    body: '{}',
  }).catch(() => undefined);
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await deadly.arrived(attempt);
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
    starting = bench.start();
    server = await starting;
  }
  const list = await server.data(`query ($id: ID!) { account(id: $id) { events { nodes { id } } } }`, { id });
  const eventId = list.account.events.nodes[0].id as string;
  expect(response === undefined || response.status === 202).toBe(true);
  const { event } = await server.eventually(
    () => server.data(QUERY, { id: eventId }),
    ({ event: { deliveries } }) => deliveries.every(({ status }: { status: string }) => status !== 'PENDING'),
    30_000,
  );
  expect(event.deliveries).toMatchObject([
    { status: 'FAILED', attemptCount: 3, attempts: [{ number: 3, error: 'WORKER_DIED', statusCode: null }] },
    { status: 'SUCCEEDED' },
  ]);
  expect(deadly.received).toHaveLength(3);
}, 120_000);
