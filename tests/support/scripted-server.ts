import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** Answers the request of that number, counted from 1 over all connections. */
type Script = (socket: Socket, number: number) => void;

/** A TCP server that says what it is told to, whether it is HTTP or not. */
export class ScriptedServer {
  /** How many connections were opened to it. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #requests = 0;

  private constructor(script: Script) {
    this.#server = createServer((socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      let unread = '';
      socket.on('data', (bytes) => {
        unread += bytes.toString('latin1');
        // The requests of the tests end in this body.
        for (let end = unread.indexOf('{end}'); end !== -1; end = unread.indexOf('{end}')) {
          unread = unread.slice(end + 5);
          this.#requests += 1;
          script(socket, this.#requests);
        }
      });
    });
  }

  static async start(script: Script): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
