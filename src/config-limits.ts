import { isIP } from 'node:net';
import type { Rate } from './core/rate.ts';
import { ConfigError } from './environment.ts';

/** How much strangers may ask for. */
export interface LimitsConfig {
  /** Events that an account may send to each process, and how many of them at once. */
  readonly ingest: { readonly rate: Rate; readonly burst: number } | undefined;
  /** Wrong tokens that may come from one address. */
  readonly authFailures: Rate | undefined;
  /** Whose X-Forwarded-For is believed: nobody's, that of so many proxies in a row, or that of these networks. */
  readonly trustProxy: false | number | readonly string[];
}

const BURST_MS = 10_000;

/** What comes in ten seconds at the rate. */
export function defaultBurst(rate: Rate | undefined): number {
  return rate === undefined ? 1 : Math.ceil((rate.count * BURST_MS) / rate.perMs);
}

/** The names that Express has for the networks of a machine and of a site. */
const NAMED_NETWORKS: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal']);
const HOPS = /^[1-9]\d?$/u;

export function parseTrustProxy(text: string): LimitsConfig['trustProxy'] {
  if (text === 'none') {
    return false;
  }
  if (HOPS.test(text)) {
    return Number(text);
  }
  const networks = text.split(',').map((part) => part.trim());
  if (!networks.every((network) => NAMED_NETWORKS.has(network) || isNetwork(network))) {
    throw new ConfigError(
      'TRUST_PROXY must be the number of proxies in front, or their networks and addresses separated by commas, such as 10.0.0.0/8,::1, or "none".',
    );
  }
  return networks;
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  const bits = version === 6 ? 128 : 32;
  const isPrefix = prefix === undefined || (/^[1-9]\d{0,2}$/u.test(prefix) && Number(prefix) <= bits);
  return version !== 0 && isPrefix && more.length === 0;
}
