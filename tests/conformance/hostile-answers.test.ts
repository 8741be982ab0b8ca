import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import type { AttemptOutcome } from '../../src/core/delivery.ts';
import { HttpSender } from '../../src/dispatch/http-sender.ts';
import { requestSource } from '../support/request-source.ts';
import { ScriptedServer } from '../support/scripted-server.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';

const EARLY_HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';

/** The status is there and good, whatever comes after it. */
const TAKEN: [what: string, bytes: string, statusCode: number][] = [
  ['two in one', OK + EVIL, 200],
  ['a hundred in one', OK + EVIL.repeat(100), 200],
  ['a 204 with a body', `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`, 204],
  ['a 204 with a length', `HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil${EVIL}`, 204],
  ['a 304 with a body', `HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil${EVIL}`, 304],
  ['a hundred interim answers', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(50)}${EARLY_HINTS.repeat(50)}${OK}`, 200],
  ['100 Continue that nobody asked for, then two', `HTTP/1.1 100 Continue\r\n\r\n${OK}${EVIL}`, 200],
  ['chunks, then another answer', `HTTP/1.1 200 OK\r\n${chunked('2\r\nok\r\n0\r\n\r\n')}${EVIL}`, 200],
  ['a chunk of no size', `HTTP/1.1 200 OK\r\n${chunked('zz\r\nok\r\n0\r\n\r\n')}${EVIL}`, 200],
  ['a chunk beyond all sizes', `HTTP/1.1 200 OK\r\n${chunked(`${'F'.repeat(17)}\r\nok\r\n`)}${EVIL}`, 200],
  ['a chunk longer than it says', `HTTP/1.1 200 OK\r\n${chunked('2\r\nokevil\r\n0\r\n\r\n')}${EVIL}`, 200],
  ['a chunk extension of 100 KB', `HTTP/1.1 200 OK\r\n${chunked(`2;${'a'.repeat(100_000)}\r\nok\r\n0\r\n\r\n`)}`, 200],
  ['trailers that frame', `HTTP/1.1 200 OK\r\n${chunked('2\r\nok\r\n0\r\nContent-Length: 99\r\n\r\n')}${EVIL}`, 200],
];

const REFUSED: [what: string, bytes: string, error: string][] = [
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nevil', 'INVALID_RESPONSE'],
  ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 4\r\n\r\nevil', 'INVALID_RESPONSE'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok', 'INVALID_RESPONSE'],
  ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok', 'INVALID_RESPONSE'],
  ['a hexadecimal length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok', 'INVALID_RESPONSE'],
  ['a length beyond all numbers', `HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(30)}\r\n\r\nok`, 'INVALID_RESPONSE'],
  [
    'length and chunks',
    `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n${chunked('2\r\nok\r\n0\r\n\r\n')}`,
    'INVALID_RESPONSE',
  ],
  [
    'chunks and length',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nevil`,
    'INVALID_RESPONSE',
  ],
  ['a header of 100 KB', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 'INVALID_RESPONSE'],
  ['10,000 headers', `HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(10_000)}\r\n`, 'INVALID_RESPONSE'],
  ['a header with NUL', `HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n${OK}`, 'INVALID_RESPONSE'],
  ['a space before the colon', `HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil`, 'INVALID_RESPONSE'],
  ['a header without a name', `HTTP/1.1 200 OK\r\n: 4\r\n\r\nevil`, 'INVALID_RESPONSE'],
  ['a status of four digits', `HTTP/1.1 2000 OK\r\n\r\n`, 'INVALID_RESPONSE'],
  ['a status of two digits', `HTTP/1.1 20 OK\r\n\r\n`, 'INVALID_RESPONSE'],
  ['an unknown version', 'HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok', 'INVALID_RESPONSE'],
  ['no status line', '<html>evil</html>\r\n\r\n', 'INVALID_RESPONSE'],
];

/** An exchange ends with them, though they are no answer. */
const INTERIM: [what: string, bytes: string, statusCode: number][] = [
  [
    'a switch of protocols that nobody asked for',
    `HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${EVIL}`,
    101,
  ],
  ['a switch of protocols to none', `HTTP/1.1 101 Switching\r\n\r\n${EVIL}`, 101],
  ['more than a hundred interim answers', EARLY_HINTS.repeat(101) + OK, 103],
  ['10,000 interim answers', EARLY_HINTS.repeat(10_000) + OK, 103],
];

function chunked(body: string): string {
  return `Transfer-Encoding: chunked\r\n\r\n${body}`;
}

let server: ScriptedServer;
let sender: HttpSender;

afterEach(async () => {
  sender.close();
  await server.stop();
});

async function start(answer: (socket: Socket) => void, { timeoutMs = 5_000 } = {}): Promise<void> {
  server = await ScriptedServer.start((socket, number) => {
    if (number === 1) {
      answer(socket);
    } else {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ngood-${number}`);
    }
  });
  sender = new HttpSender({ userAgent: 'test', timeoutMs, egress: { rule: undefined, proxyUrl: undefined } });
}

function send(): Promise<AttemptOutcome | undefined> {
  return sender.send(requestSource({ url: server.url, payload: Buffer.from('{end}') }), 0);
}

/** Each of the next requests has its own answer, on whichever connection. */
async function expectGoodAnswers(): Promise<void> {
  for (const body of ['good-2', 'good-3', 'good-4']) {
    expect(await send()).toMatchObject({ statusCode: 200, responseBody: Buffer.from(body) });
  }
}

test.each(TAKEN)('%s: is one answer, and the next exchanges are not disturbed', async (_what, bytes, statusCode) => {
  await start((socket) => void socket.write(bytes, 'latin1'));
  const outcome = await send();
  expect(outcome?.statusCode).toBe(statusCode);
  expect(outcome?.responseBody?.toString()).not.toMatch(/^evil|HTTP/u);
  await expectGoodAnswers();
});

test.each(REFUSED)('%s: is no answer, and the next exchanges are not disturbed', async (_what, bytes, error) => {
  await start((socket) => void socket.write(bytes, 'latin1'), { timeoutMs: 1_000 });
  expect(await send()).toMatchObject({ statusCode: null, error });
  await expectGoodAnswers();
});

test.each(INTERIM)('%s: is an end at once, and no answer', async (_what, bytes, statusCode) => {
  await start((socket) => void socket.write(bytes, 'latin1'), { timeoutMs: 60_000 });
  expect(await send()).toMatchObject({ statusCode, error: 'INVALID_RESPONSE', responseBody: Buffer.alloc(0) });
  await expectGoodAnswers();
});

test('an answer sent while the connection rests costs the connection, and is nobody’s', async () => {
  let resting: Socket | undefined;
  await start((socket) => {
    resting = socket;
    socket.write(OK);
  });
  expect(await send()).toMatchObject({ statusCode: 200, responseBody: Buffer.from('ok') });
  const closed = once(resting as Socket, 'close');
  resting?.write(EVIL);
  await closed;
  await expectGoodAnswers();
  expect(server.connections).toBe(2);
});

test('interim answers without end are an end at once, and use up no memory', async () => {
  await start(
    (socket) => {
      const flood = (): void => {
        if (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n'.repeat(1_000))) {
          setImmediate(flood);
        }
      };
      socket.on('drain', flood);
      flood();
    },
    { timeoutMs: 60_000 },
  );
  const before = process.memoryUsage().rss;
  expect(await send()).toMatchObject({ statusCode: 103, error: 'INVALID_RESPONSE' });
  expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
  await expectGoodAnswers();
});
