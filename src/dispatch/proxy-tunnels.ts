import http from 'node:http';
import { isIPv6, type LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';

/** The proxy is away, or would not connect. */
export class NoTunnelError extends Error {
  override readonly name = 'NoTunnelError';
  readonly code = 'ERR_PROXY_NO_TUNNEL';
}

interface ProxyTunnelsOptions {
  readonly proxy: URL;
  readonly timeoutMs: number;
  /** For the proxy's own name. */
  readonly lookup: LookupFunction;
}

/**
 * Connections to destinations through an HTTP proxy, by CONNECT. Of the packages, https-proxy-agent hands on the
 * proxy's refusal as if it were the destination's answer, so that a 204 would count as delivered, and drops
 * the agent's TLS settings; Node's own `proxyEnv` is not in every Node that runs this, and goes unseen there.
 */
export class ProxyTunnels {
  readonly #options: ProxyTunnelsOptions;
  readonly #opening = new Set<http.ClientRequest>();

  constructor(options: ProxyTunnelsOptions) {
    this.#options = options;
  }

  /** Calls back once. */
  open(target: { host: string; port: number }, callback: (error: Error | null, socket?: Duplex) => void): void {
    const request = this.#ask(`${isIPv6(target.host) ? `[${target.host}]` : target.host}:${target.port}`);
    const settle = (error: Error | null, socket?: Duplex): void => {
      if (this.#opening.delete(request)) {
        callback(error, socket);
      }
    };
    const fail = (reason: string, cause?: Error): void => {
      settle(new NoTunnelError(`The proxy has opened no tunnel: ${reason}.`, { cause }));
      request.destroy();
    };
    this.#opening.add(request);
    request.once('connect', (response, socket, head) => {
      // Whoever speaks before being spoken to is not a server of HTTP or TLS.
      if (response.statusCode === 200 && head.length === 0) {
        settle(null, socket);
      } else {
        socket.destroy();
        fail(`it answered ${response.statusCode}`);
      }
    });
    request.once('timeout', () => fail('it was silent'));
    request.on('error', (error) => fail('it cannot be reached', error));
    request.once('response', (response) => fail(`it answered ${response.statusCode}`));
    request.end();
  }

  destroy(): void {
    for (const request of this.#opening) {
      request.destroy(new Error('The tunnels were closed.'));
    }
  }

  #ask(authority: string): http.ClientRequest {
    const { proxy, timeoutMs, lookup } = this.#options;
    const { hostname, port, username, password } = proxy;
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return http.request({
      method: 'CONNECT',
      host: hostname.replace(/^\[|\]$/gu, ''),
      port: port === '' ? 80 : port,
      path: authority,
      agent: false,
      timeout: timeoutMs,
      lookup,
      headers: {
        Host: authority,
        ...(credentials !== ':' && { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
      },
    });
  }
}
