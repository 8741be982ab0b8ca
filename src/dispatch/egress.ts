import http from 'node:http';
import https from 'node:https';
import { isIP, isIPv6, type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AddressRule, type AddressRuleOptions } from '../core/address-rule.ts';
import { NameLookup, type NameLookupOptions } from './name-lookup.ts';

/** Where requests may go, and how. It travels to threads. */
export interface Egress {
  /** `undefined` allows every address. */
  readonly rule: AddressRuleOptions | undefined;
  readonly proxyUrl: string | undefined;
  /** Options that are missing are the system's. */
  readonly names?: NameLookupOptions | undefined;
}

interface EgressAgentsOptions {
  readonly egress: Egress;
  /** Resolves names instead of the name servers. */
  readonly lookup?: LookupFunction | undefined;
  readonly idleMs: number;
  /** For the look-up of a name, or a tunnel through the proxy. */
  readonly connectTimeoutMs: number;
}

interface AgentPair {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

/**
 * The connections of all requests. They stay open for the next requests to the same host and port. Node's agents
 * ignore proxy variables unless told otherwise.
 *
 * Whether an address may be called is decided at each connect, for the very address that is connected to: the
 * addresses of a name are filtered between the look-up's answer and Node's choice among them. An address in the URL
 * itself is never looked up, and is checked before.
 */
export class EgressAgents {
  readonly keepAlive: AgentPair;
  /** A new connection for each request. */
  readonly fresh: AgentPair;
  readonly #names: NameLookup;
  readonly #tunnels: ProxyTunnels | undefined;
  /** The number of bytes a connection had received when it last became idle. */
  readonly #receivedBefore = new WeakMap<Duplex, number>();

  constructor({ egress, lookup, idleMs, connectTimeoutMs }: EgressAgentsOptions) {
    const { proxyUrl } = egress;
    const rule = egress.rule && new AddressRule(egress.rule);
    this.#names = new NameLookup({ ...egress.names, timeoutMs: connectTimeoutMs });
    this.#tunnels =
      proxyUrl === undefined
        ? undefined
        : new ProxyTunnels({ proxy: new URL(proxyUrl), timeoutMs: connectTimeoutMs, lookup: this.#names.lookup });
    const guard = new ConnectionGuard(rule, this.#tunnels);
    const resolve = lookup ?? this.#names.lookup;
    const options = { timeout: idleMs, lookup: rule ? checkedLookup(rule, resolve) : resolve };
    this.keepAlive = agentPair({ ...options, keepAlive: true }, guard);
    this.fresh = agentPair({ ...options, keepAlive: false }, guard);
    for (const agent of [this.keepAlive.http, this.keepAlive.https]) {
      agent.on('free', (socket: Socket) => this.#receivedBefore.set(socket, socket.bytesRead));
    }
  }

  /** True for a reused connection that has received nothing for its current request. */
  hasReceivedNothing(socket: Socket): boolean {
    return this.#receivedBefore.get(socket) === socket.bytesRead;
  }

  destroy(): void {
    for (const agent of [this.keepAlive, this.fresh].flatMap((pair) => [pair.http, pair.https])) {
      agent.destroy();
    }
    this.#tunnels?.destroy();
    this.#names.close();
  }
}

function agentPair(options: https.AgentOptions, guard: ConnectionGuard): AgentPair {
  return {
    http: new GuardedHttpAgent(options, guard),
    // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED and Node's options for older TLS versions have no effect.
    https: new GuardedHttpsAgent({ ...options, rejectUnauthorized: true, minVersion: 'TLSv1.2' }, guard),
  };
}

/** The options that Node's agents pass. Their declared types name only some of them. */
interface ConnectOptions extends http.ClientRequestArgs {
  readonly host: string;
  readonly port: number;
  readonly socket?: Duplex;
}
type OnConnected = (error: Error | null, socket?: Duplex) => void;
type Connection = Duplex | null | undefined;

class GuardedHttpAgent extends http.Agent {
  readonly #guard: ConnectionGuard;

  constructor(options: http.AgentOptions, guard: ConnectionGuard) {
    super(options);
    this.#guard = guard;
  }

  override createConnection(options: ConnectOptions, callback: OnConnected): Connection {
    return this.#guard.connect(options, callback, {
      direct: () => super.createConnection(options, callback),
      through: (tunnel) => tunnel,
    });
  }
}

class GuardedHttpsAgent extends https.Agent {
  readonly #guard: ConnectionGuard;

  constructor(options: https.AgentOptions, guard: ConnectionGuard) {
    super(options);
    this.#guard = guard;
  }

  override createConnection(options: ConnectOptions, callback: OnConnected): Connection {
    return this.#guard.connect(options, callback, {
      direct: () => super.createConnection(options, callback),
      through: (tunnel) => {
        const overTunnel: ConnectOptions = { ...options, socket: tunnel };
        return super.createConnection(overTunnel);
      },
    });
  }
}

interface ConnectWays {
  readonly direct: () => Connection;
  readonly through: (tunnel: Duplex) => Connection;
}

/** Refuses connections to forbidden addresses, and makes the others through the proxy if there is one. */
class ConnectionGuard {
  readonly #rule: AddressRule | undefined;
  readonly #tunnels: ProxyTunnels | undefined;

  constructor(rule: AddressRule | undefined, tunnels: ProxyTunnels | undefined) {
    this.#rule = rule;
    this.#tunnels = tunnels;
  }

  connect(options: ConnectOptions, callback: OnConnected, { direct, through }: ConnectWays): Connection {
    if (!this.#allows(options)) {
      process.nextTick(callback, new AddressRefusedError(`The URL names ${options.host}, which must not be called.`));
      return undefined;
    }
    if (this.#tunnels === undefined) {
      return direct();
    }
    this.#tunnels.open(options, (error, tunnel) => {
      if (tunnel === undefined) {
        callback(error);
      } else {
        callback(null, through(tunnel) ?? undefined);
      }
    });
    return undefined;
  }

  /** A name is always allowed here: its addresses are checked when it is resolved, by us or by the proxy. */
  #allows({ host, socketPath }: ConnectOptions): boolean {
    return (
      this.#rule === undefined ||
      (typeof socketPath !== 'string' && (isIP(host) === 0 || this.#rule.allowsAddress(host)))
    );
  }
}

/** The address is one that must not be called. */
class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
  readonly code = 'ERR_ADDRESS_REFUSED';
}

/** Passes on those addresses of a name that may be called, whether Node asks for one or for all. */
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
        callback(new AddressRefusedError(refusalOf(found)), []);
      } else if (options.all === true) {
        callback(null, allowed);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

/** A name can have many addresses; a few tell the owner what is wrong. */
const ADDRESSES_TOLD_MAX = 4;

function refusalOf(found: readonly { readonly address: string }[]): string {
  const told = found.slice(0, ADDRESSES_TOLD_MAX).map(({ address }) => address);
  const more = found.length > told.length ? `, and ${found.length - told.length} more` : '';
  return `The host name leads to ${told.join(', ')}${more}, which must not be called.`;
}

/** The proxy cannot be reached, or refused to connect. */
class NoTunnelError extends Error {
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
 * Connections to destinations through an HTTP proxy, by CONNECT. Rejected: https-proxy-agent passes the proxy's
 * refusal on as the destination's response, so a 204 would count as delivered, and it drops the agent's TLS settings.
 * Node's own `proxyEnv` does not exist in every Node version that runs this, and is silently ignored there.
 */
class ProxyTunnels {
  readonly #options: ProxyTunnelsOptions;
  readonly #opening = new Set<http.ClientRequest>();

  constructor(options: ProxyTunnelsOptions) {
    this.#options = options;
  }

  /** Calls `callback` once. */
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
      // HTTP and TLS servers never speak first.
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
