import http from 'node:http';
import https from 'node:https';
import { isIP, isIPv6, type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AddressRule, type AddressRuleOptions } from '../core/address-rule.ts';
import { NameLookup, type NameLookupOptions } from './name-lookup.ts';

/** Where requests may go, and which way. It travels to threads. */
export interface Egress {
  /** `undefined` lets them go anywhere. */
  readonly rule: AddressRuleOptions | undefined;
  readonly proxyUrl: string | undefined;
  /** What is not given is the system's. */
  readonly names?: NameLookupOptions | undefined;
}

interface EgressAgentsOptions {
  readonly egress: Egress;
  /** How names are resolved, in the place of name servers. */
  readonly lookup?: LookupFunction | undefined;
  readonly idleMs: number;
  /** To have an address of a name, or a tunnel through the proxy. */
  readonly connectTimeoutMs: number;
}

/** The address is one that must not be called. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
  readonly code = 'ERR_ADDRESS_REFUSED';
}

/** What Node's agents pass, of which their types tell a part only. */
interface ConnectOptions extends http.ClientRequestArgs {
  readonly host: string;
  readonly port: number;
  readonly socket?: Duplex;
}
interface AgentPair {
  readonly http: http.Agent;
  readonly https: https.Agent;
}
type Connected = (error: Error | null, socket?: Duplex) => void;
type Connect = (options: ConnectOptions, callback?: Connected) => Duplex | undefined;

/**
 * The connections that requests are made on, kept open for the next ones to the same host and port. Node's agents
 * read no proxy variables unless they are told to.
 *
 * Whether an address may be called is decided at each connect, of the very addresses that are connected to: those
 * of a name when the look-up answers, between it and Node's choice among them; one that the URL itself names is
 * never looked up, and is judged before.
 */
export class EgressAgents {
  /** Their connections are kept open for the next requests. */
  readonly kept: AgentPair;
  /** Their requests have a new connection each. */
  readonly fresh: AgentPair;
  readonly #rule: AddressRule | undefined;
  readonly #names: NameLookup;
  readonly #tunnels: ProxyTunnels | undefined;
  /** How many bytes a connection had brought when it was last put to rest. */
  readonly #broughtBefore = new WeakMap<Duplex, number>();

  constructor({ egress: { rule, proxyUrl, names }, lookup, idleMs, connectTimeoutMs }: EgressAgentsOptions) {
    this.#rule = rule && new AddressRule(rule);
    this.#names = new NameLookup({ ...names, timeoutMs: connectTimeoutMs });
    this.#tunnels =
      proxyUrl === undefined
        ? undefined
        : new ProxyTunnels({ proxy: new URL(proxyUrl), timeoutMs: connectTimeoutMs, lookup: this.#names.lookup });
    const resolve = lookup ?? this.#names.lookup;
    const options = { timeout: idleMs, lookup: this.#rule ? checkedLookup(this.#rule, resolve) : resolve };
    this.kept = this.#pair({ ...options, keepAlive: true });
    this.fresh = this.#pair({ ...options, keepAlive: false });
    for (const agent of [this.kept.http, this.kept.https]) {
      agent.on('free', (socket: Socket) => this.#broughtBefore.set(socket, socket.bytesRead));
    }
  }

  /** Of a connection that has rested before: whether the request that it was used for now has seen nothing come back. */
  hasBroughtNothing(socket: Socket): boolean {
    return this.#broughtBefore.get(socket) === socket.bytesRead;
  }

  destroy(): void {
    for (const agent of [this.kept, this.fresh].flatMap((pair) => [pair.http, pair.https])) {
      agent.destroy();
    }
    this.#tunnels?.destroy();
    this.#names.close();
  }

  #pair(options: https.AgentOptions): AgentPair {
    return {
      http: this.#guarded(new http.Agent(options)),
      // Announcement in so many words, NODE_TLS_REJECT_UNAUTHORIZED and Node's options for older versions have no say.
      https: this.#guarded(new https.Agent({ ...options, rejectUnauthorized: true, minVersion: 'TLSv1.2' })),
    };
  }

  #guarded<SomeAgent extends http.Agent>(agent: SomeAgent): SomeAgent {
    const connect = agent.createConnection.bind(agent) as unknown as Connect;
    const guarded = (options: ConnectOptions, callback: Connected): Duplex | undefined => {
      if (!this.#mayTry(options)) {
        process.nextTick(callback, new AddressRefusedError('The URL names an address that must not be called.'));
        return undefined;
      }
      if (this.#tunnels === undefined) {
        return connect(options, callback);
      }
      this.#tunnels.open(options, (error, socket) => {
        if (socket === undefined) {
          callback(error);
        } else {
          // For http the tunnel is the connection; for https it is what the connection is made through.
          callback(null, agent instanceof https.Agent ? connect({ ...options, socket }) : socket);
        }
      });
      return undefined;
    };
    return Object.assign(agent, { createConnection: guarded });
  }

  /** A name may always be tried: it is judged by what it resolves to, by us or by the proxy. */
  #mayTry({ host, socketPath }: ConnectOptions): boolean {
    return (
      this.#rule === undefined ||
      (typeof socketPath !== 'string' && (isIP(host) === 0 || this.#rule.allowsAddress(host)))
    );
  }
}

/** Passes on what may be called of what a name resolves to, whether Node asks for one address or for all. */
function checkedLookup(rule: AddressRule, lookup: LookupFunction): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, answer, family) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const found = typeof answer === 'string' ? [{ address: answer, family: family ?? 0 }] : answer;
      const allowed = rule.allowsHost(host) ? found : found.filter(({ address }) => rule.allowsAddress(address));
      const [first] = allowed;
      if (first === undefined) {
        callback(new AddressRefusedError('The name leads to no address that may be called.'), []);
      } else if (options.all === true) {
        callback(null, allowed);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

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
