/**
 * A destination that prints what arrives, and answers 200.
 *
 *   npm run receiver               at http://127.0.0.1:4100
 *   npm run receiver -- 5000       at another port
 *   npm run receiver -- 4100 whsec_...
 *                                  also says of each whether it was signed with that secret
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { isGenuine } from './verify.ts';

const DEFAULT_PORT = 4100;

export interface Arrival {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Name and value, in the order and letter case they were sent in. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** @param answer gets what arrived, and says which status to answer with. */
export async function startReceiver(port: number, answer: (arrival: Arrival) => number): Promise<Server> {
  const server = createServer((request, response) => {
    arrivalOf(request).then(
      (arrival) => {
        const status = answer(arrival);
        response.writeHead(status).end(status < 300 ? 'thank you' : 'not now');
      },
      // The sender has gone away in the middle.
      () => response.destroy(),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** As it stands on the wire, but for the headers that the connection needs and no receiver cares about. */
export function describe({ method, target, headers, body }: Arrival): string {
  const lines = headers
    .filter(([name]) => !/^(?:host|connection|content-length)$/iu.test(name))
    .map(([name, value]) => `  ${name}: ${value}`);
  return [`  ${method} ${target}`, ...lines, ...(body === '' ? [] : ['', `  ${body}`])].join('\n');
}

/** @param secret the destination's `signingSecret` */
export function isSigned({ method, target, headers, body }: Arrival, secret: string): boolean {
  const content = method === 'GET' ? target.slice((target + '?').indexOf('?') + 1) : body;
  const byName = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
  return isGenuine(Buffer.from(content), byName, secret);
}

async function arrivalOf(request: IncomingMessage): Promise<Arrival> {
  const { rawHeaders } = request;
  const headers = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as const] : []));
  return { method: request.method ?? '', target: request.url ?? '', headers, body: await text(request) };
}

if (import.meta.main) {
  const [port = DEFAULT_PORT, secret] = process.argv.slice(2);
  const server = await startReceiver(Number(port), (arrival) => {
    console.log(`${new Date().toLocaleTimeString()}\n${describe(arrival)}\n`);
    if (secret !== undefined) {
      console.log(isSigned(arrival, secret) ? '  The signature is right.\n' : '  The signature is WRONG.\n');
    }
    return 200;
  });
  console.log(`Waiting for deliveries at ${urlOf(server)}, every path and method. Ctrl-C ends it.\n`);
}
