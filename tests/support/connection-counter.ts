import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server on an address of its own choice, that counts who connects and what is asked, and answers 200. */
export class ConnectionCounter {
  connections = 0;
  requests = 0;
  readonly #server: Server;

  private constructor(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    this.#server = createServer((request, response) => {
      this.requests += 1;
      request.resume().once('end', () => answer(request, response));
    });
    this.#server.on('connection', () => {
      this.connections += 1;
    });
  }

  static async start(
    address: string,
    port = 0,
    answer = (_request: IncomingMessage, response: ServerResponse): void => void response.end('ok'),
  ): Promise<ConnectionCounter> {
    const counter = new ConnectionCounter(answer);
    counter.#server.listen(port, address);
    await once(counter.#server, 'listening');
    return counter;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
