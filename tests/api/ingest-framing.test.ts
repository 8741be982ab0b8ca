import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let account: { id: string; token: string };

beforeAll(async () => {
  app = await TestApp.start();
});
beforeEach(async () => {
  account = await app.createAccount();
});
afterAll(() => app.stop());

/** Everything that the server says to these bytes until it closes the connection: the last request must ask for it. */
async function say(text: string, { breaksOff = false } = {}): Promise<string> {
  const { hostname, port } = new URL(app.urls.ingest);
  const socket = connect({ host: hostname, port: Number(port) });
  let said = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    said += part;
  });
  socket.on('error', () => socket.destroy());
  const closed = once(socket, 'close');
  socket.write(text, 'latin1');
  if (breaksOff) {
    socket.end();
  }
  await closed;
  return said;
}

function statuses(said: string): number[] {
  return Array.from(said.matchAll(/HTTP\/1\.1 (\d{3})/gu), ([, status]) => Number(status));
}

const LAST = 'Connection: close\r\nContent-Length: 7';

/** A request to ingest with these lines in the place of its framing. */
function post(framing: string, body: string): string {
  const head = `Host: localhost\r\nContent-Type: application/json\r\nCL-X-TOKEN: ${account.token}`;
  return `POST /server/incoming_data HTTP/1.1\r\n${head}\r\n${framing}\r\n\r\n${body}`;
}

async function storedPayloads(): Promise<string[]> {
  const query = 'query ($id: ID!) { account(id: $id) { events(first: 100) { nodes { payloadText } } } }';
  const { nodes } = (await app.data(query, { id: account.id })).account.events;
  return nodes.map(({ payloadText }: { payloadText: string }) => payloadText).toSorted();
}

const CHUNKS = '7\r\n{"a":1}\r\n0\r\n\r\n';

const refused: [what: string, framing: string, body: string][] = [
  ['a length and chunks', 'Content-Length: 7\r\nTransfer-Encoding: chunked', CHUNKS],
  ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 7', CHUNKS],
  ['two lengths', 'Content-Length: 7\r\nContent-Length: 2', '{"a":1}'],
  ['the same length twice', 'Content-Length: 7\r\nContent-Length: 7', '{"a":1}'],
  ['a list of lengths', 'Content-Length: 7, 7', '{"a":1}'],
  ['two lengths with a space', 'Content-Length: 7 2', '{"a":1}'],
  ['a signed length', 'Content-Length: +7', '{"a":1}'],
  ['a negative length', 'Content-Length: -7', '{"a":1}'],
  ['a hexadecimal length', 'Content-Length: 0x7', '{"a":1}'],
  ['a length beyond all numbers', `Content-Length: ${'9'.repeat(25)}`, '{"a":1}'],
  ['an unknown coding', 'Transfer-Encoding: xchunked', CHUNKS],
  ['a coding after chunked', 'Transfer-Encoding: chunked, identity', CHUNKS],
  ['chunked, and then a coding', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', CHUNKS],
  ['a folded coding', 'Transfer-Encoding:\r\n chunked', CHUNKS],
  ['a coding with a control character', 'Transfer-Encoding: \vchunked', CHUNKS],
  ['a space before the colon', 'Content-Length : 7', '{"a":1}'],
  ['a header that is folded', 'X: a\r\n b\r\nContent-Length: 7', '{"a":1}'],
  ['a bare LF after a header', 'X: a\nContent-Length: 7', '{"a":1}'],
  ['a bare CR in a header', 'X: a\rContent-Length: 7', '{"a":1}'],
  ['NUL in a header', 'X: a\0b\r\nContent-Length: 7', '{"a":1}'],
  ['a chunk of no size', 'Transfer-Encoding: chunked', 'zz\r\n{"a":1}\r\n0\r\n\r\n'],
  ['a chunk beyond all sizes', 'Transfer-Encoding: chunked', `${'F'.repeat(17)}\r\n{"a":1}\r\n0\r\n\r\n`],
  ['a chunk with a signed size', 'Transfer-Encoding: chunked', '+7\r\n{"a":1}\r\n0\r\n\r\n'],
  ['a chunk with a hexadecimal prefix', 'Transfer-Encoding: chunked', '0x7\r\n{"a":1}\r\n0\r\n\r\n'],
  ['a chunk longer than it says', 'Transfer-Encoding: chunked', '2\r\n{"a":1}\r\n0\r\n\r\n'],
  ['chunks that end with bare LF', 'Transfer-Encoding: chunked', '7\n{"a":1}\n0\n\n'],
  ['a chunk extension with bare LF', 'Transfer-Encoding: chunked', '7;a\n{"a":1}\r\n0\r\n\r\n'],
  ['trailers that frame', 'Transfer-Encoding: chunked', '7\r\n{"a":1}\r\n0\r\nContent-Length: 99\r\n\r\n'],
  ['chunk extensions of 100 KB', 'Transfer-Encoding: chunked', `7;${'a'.repeat(100_000)}\r\n{"a":1}\r\n0\r\n\r\n`],
];

describe('what can be read in two ways is refused, and what follows it is not read at all', () => {
  test.each(refused)('%s', async (_what, framing, body) => {
    const said = await say(post(framing, body) + post(LAST, '{"b":2}'));
    expect(statuses(said)).toHaveLength(1);
    expect(statuses(said)[0]).toBeGreaterThanOrEqual(400);
    expect(statuses(said)[0]).toBeLessThan(500);
    expect(await storedPayloads()).toEqual([]);
  });

  test.each([
    ['bare LF everywhere', (text: string) => text.replaceAll('\r\n', '\n')],
    ['no host', (text: string) => text.replace('Host: localhost\r\n', '')],
    ['a version that is none', (text: string) => text.replace('HTTP/1.1', 'HTTP/1.10')],
    ['something after the version', (text: string) => text.replace('HTTP/1.1', 'HTTP/1.1 x')],
    ['a line before the headers that begins with a space', (text: string) => text.replace('Host:', ' Host:')],
  ])('%s', async (_what, change) => {
    const said = await say(change(post(LAST, '{"a":1}')));
    expect(statuses(said).filter((status) => status < 400)).toEqual([]);
    expect(await storedPayloads()).toEqual([]);
  });

  test('a body that breaks off', async () => {
    const said = await say(post('Content-Length: 100', '{"a":1}'), { breaksOff: true });
    expect(statuses(said).filter((status) => status < 400)).toEqual([]);
    expect(await storedPayloads()).toEqual([]);
  });
});

describe('what can be read in one way is read so', () => {
  test.each([
    ['a length', 'Content-Length: 7', '{"a":1}'],
    ['chunks', 'Transfer-Encoding: chunked', '3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'],
    ['chunk extensions', 'Transfer-Encoding: chunked', '3;a=b\r\n{"a\r\n4;c="d e"\r\n":1}\r\n0;d\r\n\r\n'],
    ['leading zeros', 'Transfer-Encoding: chunked', '0007\r\n{"a":1}\r\n000\r\n\r\n'],
    ['trailers', 'Transfer-Encoding: chunked', '7\r\n{"a":1}\r\n0\r\nCL-X-TOKEN: x\r\n\r\n'],
    ['a coding in another letter case', 'transfer-ENCODING: Chunked', CHUNKS],
  ])('%s, and the next request after it', async (_what, framing, body) => {
    const said = await say(post(framing, body) + post(LAST, '{"b":2}'));
    expect(statuses(said)).toEqual([202, 202]);
    expect(await storedPayloads()).toEqual(['{"a":1}', '{"b":2}']);
  });

  test('a hundred requests in one packet, answered in their order', async () => {
    const bodies = Array.from({ length: 100 }, (_, number) => `{"n":${number + 100}}`);
    const good = bodies.map((body) => post('Content-Length: 9', body));
    good[50] = post('Content-Length: 9', '[1,2,3,4]');
    good[99] = post('Connection: close\r\nContent-Length: 9', '{"n":199}');
    const said = await say(good.join(''));
    expect(statuses(said)).toEqual(bodies.map((_, number) => (number === 50 ? 400 : 202)));
    expect(await storedPayloads()).toEqual(bodies.filter((_, number) => number !== 50));
  });

  test('a good request before one that cannot be read', async () => {
    const said = await say(post('Content-Length: 7', '{"a":1}') + post('Content-Length: 7\r\nContent-Length: 2', '{}'));
    expect(statuses(said)).toEqual([202, 400]);
    expect(await storedPayloads()).toEqual(['{"a":1}']);
  });
});
