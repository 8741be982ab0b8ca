import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import { type ConnectionBounds, ConnectionGuard } from './connections.ts';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often Node checks connections against these times. */
const CONNECTIONS_CHECKING_INTERVAL_MS = 2_000;
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** From the request's first line to the answer's last byte. Slower readers are cut off. */
const EXCHANGE_TIMEOUT_MS = 90_000;

/** Answers to requests that Node's parser refuses, by the error's code. Other codes get 400. */
const PARSER_ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** The listening socket. Its limits stop callers that are slow on purpose. */
export class HttpServer {
  readonly #server: Server;
  /** When each exchange began, by `performance.now()`. */
  readonly #exchanges = new Map<ServerResponse, number>();
  #closing = false;

  constructor(listener: RequestListener, bounds: ConnectionBounds) {
    const guard = new ConnectionGuard(bounds);
    this.#server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: CONNECTIONS_CHECKING_INTERVAL_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      },
      (request, response) => {
        response.shouldKeepAlive &&= !this.#closing;
        this.#exchanges.set(response, performance.now());
        guard.requestBegan(request.socket);
        response.once('close', () => {
          this.#exchanges.delete(response);
          guard.requestEnded(request.socket);
        });
        listener(request, response);
      },
    );
    this.#server.on('clientError', (error, socket: Socket) => this.#refuseInOrder(error, socket));
    this.#server.on('connection', (socket) => guard.admit(socket));
    const timer = setInterval(() => this.#cutSlowReaders(), CONNECTIONS_CHECKING_INTERVAL_MS).unref();
    this.#server.once('close', () => clearInterval(timer));
  }

  /** Waits for the answers to earlier requests on the connection: the client must not take the refusal for one of them. */
  #refuseInOrder(error: Error, socket: Socket): void {
    const earlier = [...this.#exchanges.keys()].findLast(({ req }) => req.socket === socket && req.complete);
    if (earlier === undefined) {
      refuseUnparsable(error, socket);
    } else {
      earlier.once('close', () => refuseUnparsable(error, socket));
    }
  }

  /** Requests should go to another process from now on. */
  get isClosing(): boolean {
    return this.#closing;
  }

  /** @throws Error with a `code` such as EADDRINUSE */
  listen(host: string, port: number): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve(this.#server.address() as AddressInfo));
    });
  }

  /**
   * Accepts no new connections, lets requests finish, and closes the remaining connections when the time is up.
   *
   * @param delayMs Before that, requests are answered normally, but each is the last one on its connection. Clients move
   * to other processes, and no request meets a connection that is closing.
   */
  async close({ delayMs, graceMs }: { delayMs: number; graceMs: number }): Promise<void> {
    this.#closing = true;
    // Without this, a client that keeps its connection open would delay the end until the time is up.
    for (const response of this.#exchanges.keys()) {
      response.shouldKeepAlive = false;
    }
    if (delayMs > 0) {
      await delay(delayMs);
    }
    await this.#end(graceMs);
  }

  /** Node limits the time for receiving a request, but not for sending the answer. */
  #cutSlowReaders(): void {
    const before = performance.now() - EXCHANGE_TIMEOUT_MS;
    for (const [response, since] of this.#exchanges) {
      if (since < before) {
        response.destroy();
      }
    }
  }

  #end(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#server.closeAllConnections(), graceMs);
      this.#server.close(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }
}

function refuseUnparsable(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = PARSER_ANSWERS[error.code ?? ''] ?? '400 Bad Request';
  const body = JSON.stringify({ success: false, message: status.slice(4) });
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
  socket.end(`${head}\r\n\r\n${body}`);
}

/** The addresses at which a server that listens on the host can be reached now. */
export async function ownAddresses(host: string): Promise<string[]> {
  const listened = (await lookup(host, { all: true })).map(({ address }) => address.replace(ZONE, ''));
  return listened.some((address) => ipaddr.parse(address).range() === 'unspecified')
    ? Object.values(networkInterfaces()).flatMap((addresses = []) =>
        addresses.map(({ address }) => address.replace(ZONE, '')),
      )
    : listened;
}

const ZONE = /%.*$/u;
