import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface WireRequest {
  readonly line: string;
  /** Names and values in turn, one character for each byte. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const REQUEST_LINE = /^(?:GET|POST|PUT|PATCH|DELETE) \/[\x21-\x7e]* HTTP\/1\.1$/u;
/** RFC 9110: a token, and visible characters, spaces, tabs and bytes beyond ASCII. */
const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)$/u;

/**
 * A destination that knows no leniency: it takes the bytes apart by the letter of the standard, and what is not one
 * well-formed request after another is a fault.
 */
export class WireReceiver {
  readonly requests: WireRequest[] = [];
  readonly faults: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<WireReceiver> {
    const receiver = new WireReceiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    let unread = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      unread = Buffer.concat([unread, bytes]);
      const taken = this.#take(unread);
      if (taken > 0) {
        // One is answered before the next may come: what follows now would be a second in the first.
        this.#expect(taken === unread.length, `${unread.length - taken} bytes follow a request`);
        unread = Buffer.alloc(0);
        socket.write(ANSWER);
      }
    });
    socket.on('end', () => {
      this.#expect(unread.length === 0, `the connection ends inside of a request, after ${unread.length} bytes`);
      socket.end();
    });
  }

  /** @returns how many bytes the first request has; 0 while it is not complete. */
  #take(bytes: Buffer): number {
    const headEnd = bytes.indexOf('\r\n\r\n');
    if (headEnd === -1) {
      return 0;
    }
    const [line = '', ...headerLines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
    this.#expect(REQUEST_LINE.test(line), `the request line is ${JSON.stringify(line)}`);
    const headers = headerLines.map((one): [string, string] => {
      const [, name = '', value = ''] = HEADER_LINE.exec(one) ?? [];
      this.#expect(name !== '', `a header line is ${JSON.stringify(one)}`);
      return [name, value];
    });
    const valuesOf = (wanted: string): string[] =>
      headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
    const lengths = valuesOf('content-length');
    this.#expect(lengths.length <= 1 && lengths.every((one) => /^\d+$/u.test(one)), `the length is ${lengths.join()}`);
    this.#expect(valuesOf('host').length === 1, 'there is not one host');
    this.#expect(valuesOf('transfer-encoding').length === 0, 'there is a transfer encoding');
    const end = headEnd + 4 + Number(lengths[0] ?? 0);
    if (bytes.length < end) {
      return 0;
    }
    this.requests.push({ line, headers, body: bytes.subarray(headEnd + 4, end) });
    return end;
  }

  #expect(isSo: boolean, fault: string): void {
    if (!isSo) {
      this.faults.push(fault);
    }
  }
}
