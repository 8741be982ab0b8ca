import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it arrived, byte for byte. */
export interface Received {
  readonly method: string;
  /** Path and query as they stood in the request line. */
  readonly target: string;
  /** Names and values in turn, as sent. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** How the receiver answers; `attempt` counts the requests from 1. */
export type Answer = (response: ServerResponse, received: Received, attempt: number) => void;

/** A real HTTP server on loopback, that keeps what it gets and lets a test wait for it. */
export class Receiver {
  readonly received: Received[] = [];
  readonly #server: Server;
  #waiting: (() => void)[] = [];
  #answer: Answer;

  private constructor(answer: Answer) {
    this.#answer = answer;
    this.#server = createServer((request, response) => void this.#receive(request, response));
  }

  static async start(answer: Answer = (response) => response.end('ok'), port = 0): Promise<Receiver> {
    const receiver = new Receiver(answer);
    receiver.#server.listen(port, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  answerWith(answer: Answer): void {
    this.#answer = answer;
  }

  /** Resolves when so many requests have arrived in all. */
  async arrived(count: number): Promise<readonly Received[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.received;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** For `await using`: stopped whatever becomes of the test. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
    }
    const received: Received = {
      method: request.method ?? '',
      target: request.url ?? '',
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    this.received.push(received);
    this.#answer(response, received, this.received.length);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) {
      wake();
    }
  }
}
