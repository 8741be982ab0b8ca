import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ConnectionGuard, connectionBounds } from '../../src/http/connections.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import { describeWhere } from '../support/requirement.ts';

const BOUNDS = { total: 5, perNetwork: 2 };
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describeWhere(process.platform === 'linux', 'Linux, where all of 127.0.0.0/8 is this machine')('connections', () => {
  let server: HttpServer;
  let port: number;
  let sockets: net.Socket[];
  let held: ServerResponse[];
  let holding: boolean;
  let onRequest: () => void;

  beforeEach(async () => {
    sockets = [];
    held = [];
    holding = false;
    onRequest = () => {};
    server = new HttpServer((_request, response) => {
      if (holding) {
        held.push(response);
        onRequest();
      } else {
        response.end('answered');
      }
    }, BOUNDS);
    ({ port } = await server.listen('0.0.0.0', 0));
  });
  afterEach(async () => {
    for (const socket of sockets) {
      socket.destroy();
    }
    await server.close({ delayMs: 0, graceMs: 0 });
  });

  function connect(localAddress: string): net.Socket {
    const socket = net.connect({ host: '127.0.0.1', port, localAddress }).on('error', () => {});
    sockets.push(socket);
    return socket;
  }

  const isAnswered = (localAddress: string): Promise<boolean> => ask(connect(localAddress));

  async function answered(localAddress: string): Promise<net.Socket> {
    const socket = connect(localAddress);
    expect(await ask(socket)).toBe(true);
    return socket;
  }

  function nextRequest(): Promise<void> {
    return new Promise((resolve) => {
      onRequest = resolve;
    });
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

  test('a newcomer takes the place of the one that is idle longest, of the network that has most of those', async () => {
    const alone = await answered('127.0.0.2');
    const again = await answered('127.0.0.3');
    const idlest = await answered('127.0.0.3');
    const others = [await answered('127.0.0.4'), await answered('127.0.0.4')];
    expect(await ask(again)).toBe(true);
    expect(await ask(others[0])).toBe(true);
    const closed = once(idlest, 'close');
    expect(await isAnswered('127.0.0.5')).toBe(true);
    await closed;
    const connections = [alone, again, idlest, ...others];
    expect(connections.map((socket) => socket.destroyed)).toEqual([false, false, true, false, false]);
  });

  test('idle connections of few addresses, as many as they can get, lock nobody out', async () => {
    for (let number = 0; number < 20; number += 1) {
      await isAnswered(`127.0.0.${2 + (number % 3)}`);
    }
    for (const address of ['127.0.1.1', '127.0.1.2', '127.0.1.3', '127.0.1.4', '127.0.1.5']) {
      expect(await isAnswered(address)).toBe(true);
    }
  });

  test('a connection with a request under way is not closed for a newcomer, who is cut off where all have one', async () => {
    holding = true;
    for (const address of ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3', '127.0.0.4']) {
      connect(address).write(REQUEST);
      await nextRequest();
    }
    expect(await isAnswered('127.0.0.5')).toBe(false);
    expect(sockets.slice(0, BOUNDS.total).map(({ destroyed }) => destroyed)).not.toContain(true);
    const [first] = sockets;
    const answer = once(first as net.Socket, 'data');
    held[0]?.end();
    await answer;
    holding = false;
    while (!(await isAnswered('127.0.0.5'))) {
      // The server sees the end of its answer a moment later than its caller.
      expect(sockets.length).toBeLessThan(100);
    }
  });

  test('all IPv6 addresses of one /64 count as one', async () => {
    const guard = new ConnectionGuard({ total: 100, perNetwork: 2 });
    const isAdmitted = (remoteAddress: string): boolean => {
      const socket = Object.defineProperty(new net.Socket(), 'remoteAddress', { value: remoteAddress });
      guard.admit(socket);
      return !socket.destroyed;
    };
    expect(['2001:db8::1', '2001:db8::ffff:2', '2001:db8::3', '2001:db8:0:1::1'].map(isAdmitted)).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(['::ffff:192.0.2.1', '::ffff:192.0.2.2', '::ffff:192.0.2.3'].map(isAdmitted)).toEqual([true, true, true]);
  });

  test('leave half of the files that may be open to the rest of the program', () => {
    expect(connectionBounds(false, 256)).toEqual({ total: 128, perNetwork: 32 });
    expect(connectionBounds(false, 1_048_576)).toEqual({ total: 10_000, perNetwork: 2_500 });
    expect(connectionBounds(true, 256)).toEqual({ total: 128, perNetwork: 128 });
  });
});

/** @returns whether a request on a connection is answered; the connection stays open then. */
async function ask(socket: net.Socket | undefined): Promise<boolean> {
  if (socket === undefined) {
    return false;
  }
  socket.write(REQUEST);
  return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
}
