import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange, sendUntilAnswered } from '../support/exchange.ts';
import { TestApp } from '../support/test-app.ts';

const MIB = 1024 * 1024;
const MAX_MIB = 64;
const TYPE = ['Content-Type', 'application/json'];

let app: TestApp;
let token: string;

beforeAll(async () => {
  app = await TestApp.start({ MAX_BODY_BYTES: `${MAX_MIB * MIB}` });
  token = (await app.createAccount()).token;
});
afterAll(() => app.stop());

/** A JSON object of so many bytes. */
function objectOf(bytes: number): Buffer {
  return Buffer.from(`{"a":"${'x'.repeat(bytes - 8)}"}`);
}

/** Announces a body and sends only its beginning. */
async function announce(from: string, bytes: number): Promise<Socket> {
  const { hostname, port, pathname } = new URL(app.urls.ingest);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  const head = [`POST ${pathname} HTTP/1.1`, 'Host: x', 'Content-Type: application/json', `CL-X-TOKEN: ${from}`];
  socket.write(`${[...head, `Content-Length: ${bytes}`].join('\r\n')}\r\n\r\n{"a":"`);
  return socket;
}

describe('a large body', () => {
  test('of an unknown sender is refused with 401 before it is read', async () => {
    const headers = [...TYPE, 'CL-X-TOKEN', 'A'.repeat(16), 'Content-Length', `${MAX_MIB * MIB}`];
    const answer = await sendUntilAnswered(app.urls.ingest, { headers }, MAX_MIB * MIB);
    expect(answer.status).toBe(401);
    expect(answer.sentBytes).toBeLessThan(16 * MIB);
  });

  test('that is no JSON object is refused with 400', async () => {
    const headers = [...TYPE, 'CL-X-TOKEN', token];
    const answer = await exchange(app.urls.ingest, { headers, body: Buffer.alloc(4 * MIB, '[') });
    expect(answer.status).toBe(400);
  });

  test('without a declared length is taken as well, and stored as it is', async () => {
    const body = objectOf(3 * MIB);
    const headers = { 'Content-Type': 'application/json', 'CL-X-TOKEN': token };
    const pieces = async function* () {
      for (let at = 0; at < body.length; at += 100_000) {
        yield body.subarray(at, at + 100_000);
      }
    };
    const response = await fetch(app.urls.ingest, {
      method: 'POST',
      headers,
      body: ReadableStream.from(pieces()),
      duplex: 'half',
    });
    expect(response.status).toBe(202);
    const { eventId } = (await response.json()) as { eventId: string };
    const { event } = await app.data('query ($id: ID!) { event(id: $id) { payloadText } }', { id: eventId });
    expect(Buffer.from(event.payloadText).equals(body)).toBe(true);
  });

  test('waits its turn when many come at once, and all are accepted', async () => {
    const body = objectOf(24 * MIB);
    const headers = [...TYPE, 'CL-X-TOKEN', token];
    const answers = await Promise.all(Array.from({ length: 4 }, () => exchange(app.urls.ingest, { headers, body })));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(4).fill(202));
  });
});

describe('while one account holds as much memory as it can', () => {
  let sockets: Socket[];
  beforeAll(async () => {
    sockets = await Promise.all(Array.from({ length: 20 }, () => announce(token, 32 * MIB)));
  });
  afterAll(() => sockets.forEach((socket) => socket.destroy()));

  test('its small events are accepted', async () => {
    expect((await app.send(token, '{}')).status).toBe(202);
  });

  test("another account's large events are accepted", async () => {
    const other = await app.createAccount();
    expect((await app.send(other.token, objectOf(30 * MIB))).status).toBe(202);
  });
});
