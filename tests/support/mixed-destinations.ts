import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from './free-port.ts';

const DRIP_MS = 200;
const LARGE = Buffer.alloc(1_048_576, 'x');

/** How destinations go wrong, by their path. */
const BAD: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/failing': (response) => void response.writeHead(500).end('broken'),
  '/gone': (response) => void response.writeHead(410).end(),
  '/silent': () => undefined,
  '/cut': (response) => response.destroy(),
  '/large': (response) => void response.writeHead(200).end(LARGE),
  '/dripping': (response) => {
    response.writeHead(200);
    const drip = setInterval(() => response.write('x'), DRIP_MS);
    response.once('close', () => clearInterval(drip));
  },
};

/** A server of good and bad destinations that keeps nothing of what it gets but the number, however long it runs. */
export class MixedDestinations {
  readonly #server: Server;
  readonly #refusing: number;
  readonly #arrivals = new Map<string, number>();

  private constructor(refusing: number) {
    this.#refusing = refusing;
    this.#server = createServer(this.#answer);
  }

  static async start(): Promise<MixedDestinations> {
    const destinations = new MixedDestinations(await freePort());
    destinations.#server.listen(0, '127.0.0.1');
    await once(destinations.#server, 'listening');
    return destinations;
  }

  goodUrl(name: string): string {
    return `${this.#origin}/${name}`;
  }

  /** One of each kind; nobody listens at the last. */
  get badUrls(): readonly string[] {
    return [...Object.keys(BAD).map((path) => this.#origin + path), `http://127.0.0.1:${this.#refusing}/`];
  }

  arrivalsAt(url: string): number {
    return this.#arrivals.get(new URL(url).pathname) ?? 0;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get #origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  readonly #answer: RequestListener = (request, response) => {
    const path = request.url ?? '';
    request.resume().once('end', () => {
      this.#arrivals.set(path, (this.#arrivals.get(path) ?? 0) + 1);
      const goWrong = BAD[path] ?? (() => void response.end('ok'));
      goWrong(response);
    });
  };
}
