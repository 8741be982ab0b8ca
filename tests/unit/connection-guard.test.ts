import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { connectionBounds } from '../../src/http/connection-guard.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import { describeWhere } from '../support/requirement.ts';

const BOUNDS = { total: 5, perAddress: 2 };

describeWhere(process.platform === 'linux', 'Linux, where all of 127.0.0.0/8 is this machine')('connections', () => {
  let server: HttpServer;
  let port: number;
  let sockets: net.Socket[];

  beforeEach(async () => {
    sockets = [];
    server = new HttpServer((_request, response) => response.end('answered'), BOUNDS);
    ({ port } = await server.listen('0.0.0.0', 0));
  });
  afterEach(async () => {
    for (const socket of sockets) {
      socket.destroy();
    }
    await server.close({ delayMs: 0, graceMs: 0 });
  });

  /** @returns whether a request on a new connection is answered; the connection stays open then. */
  async function isAnswered(localAddress: string): Promise<boolean> {
    const socket = net.connect({ host: '127.0.0.1', port, localAddress });
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
  }

  test('one address has so many at most, and the others are served all the same', async () => {
    expect([await isAnswered('127.0.0.2'), await isAnswered('127.0.0.2')]).toEqual([true, true]);
    expect(await isAnswered('127.0.0.2')).toBe(false);
    expect(await isAnswered('127.0.0.1')).toBe(true);
  });

  test('an address that closes one may open another', async () => {
    expect([await isAnswered('127.0.0.2'), await isAnswered('127.0.0.2')]).toEqual([true, true]);
    sockets[0]?.end();
    // The server hears of the end a moment later than its caller.
    while (!(await isAnswered('127.0.0.2'))) {
      expect(sockets.length).toBeLessThan(100);
    }
  });

  test('all together have so many at most', async () => {
    for (const address of ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3', '127.0.0.4']) {
      expect(await isAnswered(address)).toBe(true);
    }
    expect(await isAnswered('127.0.0.5')).toBe(false);
  });

  test('leave half of the files that may be open to the rest of the program', () => {
    expect(connectionBounds(false, 256)).toEqual({ total: 128, perAddress: 32 });
    expect(connectionBounds(false, 1_048_576)).toEqual({ total: 10_000, perAddress: 2_500 });
    expect(connectionBounds(true, 256)).toEqual({ total: 128, perAddress: 128 });
  });
});
