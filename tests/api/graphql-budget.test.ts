import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Caller } from '../support/caller.ts';
import { TestApp } from '../support/test-app.ts';

const DESTINATIONS = 100;
const MIB = 1024 * 1024;
const BIG = `{"a":[${'[],'.repeat(MIB / 3 - 10)}[]]}`;

let app: TestApp;
let account: { id: string; token: string };
let eventId: string;
let smallId: string;

beforeAll(async () => {
  app = await TestApp.start({ RETRY_SCHEDULE: 'none' });
  account = await app.createAccount();
  for (let made = 0; made < DESTINATIONS; made += 1) {
    await app.createDestination(account.id, `http://127.0.0.1:9/${made}`);
  }
  eventId = await app.sendAccepted(account.token, BIG);
  smallId = await app.sendAccepted(account.token, '{"id": 12345678901234567890, "one": 1.0}');
}, 60_000);

afterAll(() => app.stop());

/** How often others are answered while this is. */
async function othersDuring(work: Promise<unknown>): Promise<number> {
  let isDone = false;
  void work.finally(() => {
    isDone = true;
  });
  let answered = 0;
  while (!isDone) {
    await fetch(`${app.urls.health}/live`);
    answered += 1;
  }
  return answered;
}

function nested(levels: number, field: string): string {
  return `{ event(id: "${eventId}") { ${'deliveries { event { '.repeat(levels)} ${field} ${'} }'.repeat(levels)} } }`;
}

function times(count: number, field: string): string {
  return Array.from({ length: count }, (_, index) => `a${index}: ${field}`).join(' ');
}

describe('an answer is refused when it would hold too much, and others are answered meanwhile', () => {
  test.each([
    ['the same payload in a hundred places, as text', () => nested(1, 'payloadText')],
    ['the same payload in a million places, as text', () => nested(3, 'payloadText')],
    ['the same payload in a million places, as JSON', () => nested(3, 'payload')],
    ['lists within lists', () => nested(5, 'id')],
    ['payloads by alias', () => `{ event(id: "${eventId}") { ${times(30, 'payload')} } }`],
    ['headers and secrets by alias', () => nested(2, `deliveries { destination { ${times(28, 'headers')} } }`)],
    ['long aliases', () => nested(2, `${'x'.repeat(100_000)}: id`)],
  ] as [string, () => string][])('%s', async (_title, query) => {
    const asked = app.graphql(query());
    expect(await othersDuring(asked)).toBeGreaterThan(2);
    const { data, errors, status } = await asked;
    expect([status, data]).toEqual([200, null]);
    expect(errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'TOO_EXPENSIVE' }]);
  });

  test('and answered when it does not, lists of thousands among them', async () => {
    const query = `{ event(id: "${smallId}") { deliveries { event { deliveries { id status } } } } }`;
    const asked = app.data(query);
    expect(await othersDuring(asked)).toBeGreaterThan(2);
    const { event } = await asked;
    const ids = event.deliveries.flatMap((delivery: { event: { deliveries: { id: string }[] } }) =>
      delivery.event.deliveries.map(({ id }) => id),
    );
    expect([ids.length, new Set(ids).size]).toEqual([DESTINATIONS ** 2, DESTINATIONS]);
  });

  test('and the payload is offered both ways', async () => {
    const { event } = await app.data(`{ event(id: "${eventId}") { payload payloadText } }`);
    expect(event.payloadText).toBe(BIG);
    expect(JSON.stringify(event.payload)).toBe(BIG);
  });

  test('and the payload as JSON has every digit that was received', async () => {
    const response = await fetch(app.urls.graphql, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: `{ event(id: "${smallId}") { payload } }` }),
    });
    expect(await response.text()).toContain('{"payload":{"id": 12345678901234567890, "one": 1.0}}');
  });
});

/** Its answer has 7 MiB. */
function largest(): string {
  return `{ ${times(7, `event(id: "${eventId}") { payload }`)} }`;
}

/** Asks for the largest answer, and takes none of it. */
async function askAndNotRead(token: string): Promise<Socket> {
  const { hostname, port, pathname } = new URL(app.urls.graphql);
  const body = JSON.stringify({ query: largest() });
  const socket = connect(Number(port), hostname);
  const head = `POST ${pathname} HTTP/1.1\r\nHost: a\r\nCL-X-TOKEN: ${token}\r\nContent-Type: application/json`;
  socket.write(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await once(socket, 'readable');
  return socket;
}

test('an account that does not take its answers gets no more of them; others do', async () => {
  const mine = new Caller(app, { 'CL-X-TOKEN': account.token });
  const query = largest();
  const held = [await askAndNotRead(account.token)];
  let answer = await mine.graphql(query);
  while (answer.errors === undefined) {
    held.push(await askAndNotRead(account.token));
    answer = await mine.graphql(query);
  }
  expect(held.length).toBeLessThan(5);
  expect([answer.status, answer.errors.map(({ extensions }) => extensions)]).toEqual([
    429,
    [{ code: 'TOO_MANY_REQUESTS' }],
  ]);
  await app.data(query);
  held.forEach((socket) => socket.destroy());
  await app.eventually(
    () => mine.graphql(query),
    ({ errors }) => errors === undefined,
  );
}, 60_000);
