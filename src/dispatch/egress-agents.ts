import { lookup as systemLookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { AddressRule, type AddressRuleOptions } from '../core/address-rule.ts';
import { ProxyTunnels } from './proxy-tunnels.ts';

/** Where requests may go, and which way. It travels to threads. */
export interface Egress {
  /** `undefined` lets them go anywhere. */
  readonly rule: AddressRuleOptions | undefined;
  readonly proxyUrl: string | undefined;
}

interface EgressAgentsOptions {
  readonly egress: Egress;
  /** How names are resolved, in the place of the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
  readonly idleMs: number;
  /** To have a tunnel through the proxy. */
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
  readonly http: http.Agent;
  readonly https: https.Agent;
  readonly #rule: AddressRule | undefined;
  readonly #tunnels: ProxyTunnels | undefined;

  constructor({ egress: { rule, proxyUrl }, lookup, idleMs, connectTimeoutMs }: EgressAgentsOptions) {
    this.#rule = rule && new AddressRule(rule);
    this.#tunnels = proxyUrl === undefined ? undefined : new ProxyTunnels(new URL(proxyUrl), connectTimeoutMs);
    const resolve = this.#rule ? checkedLookup(this.#rule, lookup ?? systemLookup) : lookup;
    const options = { keepAlive: true, timeout: idleMs, ...(resolve && { lookup: resolve }) };
    this.http = this.#guarded(new http.Agent(options));
    // Told in so many words, NODE_TLS_REJECT_UNAUTHORIZED and Node's options for older versions have no say.
    this.https = this.#guarded(new https.Agent({ ...options, rejectUnauthorized: true, minVersion: 'TLSv1.2' }));
  }

  destroy(): void {
    this.http.destroy();
    this.https.destroy();
    this.#tunnels?.destroy();
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
