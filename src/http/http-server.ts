import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { type ConnectionBounds, ConnectionGuard } from './connections.ts';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often Node looks for connections that are over those times. */
const CONNECTIONS_CHECKING_INTERVAL_MS = 2_000;
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** From the request's first line to the answer's last byte: whoever reads slower than that is cut off. */
const EXCHANGE_TIMEOUT_MS = 90_000;

/** Answers to what Node's parser refuses, by the error's code; anything else is a bad request. */
const PARSER_ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** The listening socket, with limits for callers that are slow on purpose. */
export class HttpServer {
  readonly #server: Server;
  /** Since when, on the clock of `performance.now()`. */
  readonly #underWay = new Map<ServerResponse, number>();
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
        this.#underWay.set(response, performance.now());
        guard.requestBegan(request.socket);
        response.once('close', () => {
          this.#underWay.delete(response);
          guard.requestEnded(request.socket);
        });
        listener(request, response);
      },
    );
    this.#server.on('clientError', (error, socket: Socket) => this.#refuseInTurn(error, socket));
    this.#server.on('connection', (socket) => guard.admit(socket));
    const looking = setInterval(() => this.#cutSlowReaders(), CONNECTIONS_CHECKING_INTERVAL_MS).unref();
    this.#server.once('close', () => clearInterval(looking));
  }

  /** Behind the answers to whole requests that came before on the connection: it must not be taken for one of them. */
  #refuseInTurn(error: Error, socket: Socket): void {
    const earlier = [...this.#underWay.keys()].findLast(({ req }) => req.socket === socket && req.complete);
    if (earlier === undefined) {
      refuseUnparsable(error, socket);
    } else {
      earlier.once('close', () => refuseUnparsable(error, socket));
    }
  }

  /** It is about to end: requests should go to another process. */
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
   * Takes no new connection, lets requests under way end, and cuts what is left when the time is up.
   *
   * @param delayMs before that, requests are answered as ever, but each is the last on its connection: who sends
   * them goes elsewhere, and none is cut off on its way by a connection that closes.
   */
  async close({ delayMs, graceMs }: { delayMs: number; graceMs: number }): Promise<void> {
    this.#closing = true;
    // A connection that a client keeps after its last answer would hold up the end until the time is up.
    for (const response of this.#underWay.keys()) {
      response.shouldKeepAlive = false;
    }
    if (delayMs > 0) {
      await delay(delayMs);
    }
    await this.#end(graceMs);
  }

  /** Node has a limit for the time that a request takes to come, and none for its answer to be taken. */
  #cutSlowReaders(): void {
    const before = performance.now() - EXCHANGE_TIMEOUT_MS;
    for (const [response, since] of this.#underWay) {
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

const EVERY_INTERFACE = new Set(['0.0.0.0', '::']);

/** The addresses that a server is reached at when it listens on the host; as they are now. */
export async function ownAddresses(host: string): Promise<string[]> {
  const listened = (await lookup(host, { all: true })).map(({ address }) => address);
  const found = listened.some((address) => EVERY_INTERFACE.has(address))
    ? Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
    : listened;
  return found.map((address) => address.replace(/%.*$/u, ''));
}
