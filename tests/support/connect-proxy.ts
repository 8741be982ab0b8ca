import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly authorization: string | undefined;
}

/** A real HTTP proxy on loopback that keeps what it is asked for. */
export class ConnectProxy {
  readonly asked: Asked[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What it says in the place of opening a tunnel. */
  #refusal: string | undefined;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push({ method: request.method ?? '', target: request.url ?? '', authorization: undefined });
      response.writeHead(500).end();
    });
    this.#server.on('connect', ({ method = '', url = '', headers }, client: Socket) => {
      this.asked.push({ method, target: url, authorization: headers['proxy-authorization'] });
      this.#join(client, url);
    });
  }

  static async start(): Promise<ConnectProxy> {
    const proxy = new ConnectProxy();
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  refuseWith(answer: string): void {
    this.#refusal = answer;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Whatever the name, it leads to loopback. */
  #join(client: Socket, authority: string): void {
    client.on('error', () => client.destroy());
    this.#sockets.add(client);
    if (this.#refusal !== undefined) {
      client.end(this.#refusal);
      return;
    }
    const server = connect(Number(authority.split(':').at(-1)), '127.0.0.1');
    this.#sockets.add(server);
    server.on('error', () => client.destroy());
    server.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.pipe(client).pipe(server);
    });
  }
}
