import { once } from 'node:events';
import net from 'node:net';

/** Stands between a client and a service, and ends connections when a test asks for it. */
export class CuttingProxy {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #target: { host: string; port: number };
  #isOpen = true;
  #isSilent = false;

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = net.createServer((client) => this.#join(client));
  }

  static async start(target: URL): Promise<CuttingProxy> {
    const proxy = new CuttingProxy({ host: target.hostname, port: Number(target.port || 5672) });
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Ends all connections; what was written and has not arrived is lost. */
  cut(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  /** Until `open`, connections are accepted and ended at once. */
  close(): void {
    this.#isOpen = false;
    this.cut();
  }

  /** From now on new connections are accepted, and nobody answers them. */
  fallSilent(): void {
    this.#isSilent = true;
    this.cut();
  }

  open(): void {
    this.#isOpen = true;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: net.Socket): void {
    this.#watch(client);
    if (!this.#isOpen) {
      client.destroy();
      return;
    }
    if (this.#isSilent) {
      return;
    }
    const service = net.connect(this.#target);
    this.#watch(service);
    client.pipe(service).pipe(client);
    client.once('close', () => service.destroy());
    service.once('close', () => client.destroy());
  }

  #watch(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
