import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Refused networks, from IANA's registries of special-purpose addresses and the documentation of the clouds. The list is
 * ours: the ranges of ipaddr.js call many of these unicast.
 */
const REFUSED_IPV4 = [
  '0.0.0.0/8', // "this network"; Linux connects to itself
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's platform service, on a public address
  '169.254.0.0/16', // link-local, and with it the metadata services of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // multicast tunnelling
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
];

/**
 * IANA allocates public addresses from 2000::/3 only. The rest contains unspecified, loopback, IPv4-mapped and
 * -compatible, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard, segment routing, unique local (Amazon's metadata is
 * fd00:ec2::254), link-local, site-local and multicast addresses.
 */
const REFUSED_IPV6 = [
  '::/3',
  '4000::/2',
  '8000::/1',
  '2001::/23', // protocol assignments: Teredo, benchmarking, ORCHID and others
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
];

export interface AddressRuleOptions {
  /** Addresses, networks such as 10.0.0.0/8, and host names, as `parseAllowedDestination` returns them. */
  readonly allowed: readonly string[];
  /** The addresses that the server listens on. */
  readonly own: readonly string[];
}

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [address: Address, bits: number];

const REFUSED = networksOf([...REFUSED_IPV4, ...REFUSED_IPV6]);

/** IPv6 networks whose addresses end in an IPv4 address. */
const ENDS_IN_IPV4 = networksOf([
  '::/96', // IPv4-compatible
  '::ffff:0:0/96', // IPv4-mapped
  '::ffff:0:0:0/96', // IPv4-translated
  '64:ff9b::/48', // NAT64
  '64:ff9b:1::/48', // local-use NAT64
]);
const SIX_TO_FOUR = networksOf(['2002::/16']);

/** Decides which addresses requests may be sent to. */
export class AddressRule {
  readonly #allowed: readonly Network[];
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #own: readonly Network[];

  constructor({ allowed, own }: AddressRuleOptions) {
    this.#allowed = networksOf(allowed);
    this.#allowedHosts = new Set(allowed.filter((entry) => parseNetwork(entry) === undefined));
    this.#own = networksOf(own);
  }

  /** True for a host that may be called at any address. */
  allowsHost(host: string): boolean {
    return this.#allowedHosts.has(host.toLowerCase().replace(/\.$/u, ''));
  }

  /** @param text the address to connect to; anything but a plain IP address is refused */
  allowsAddress(text: string): boolean {
    const address = parseAddress(text);
    // An allowed NAT64 network must not lead to an IPv4 address that is refused.
    return address !== undefined && [address, ...embeddedIpv4(address)].every((one) => this.#allows(one));
  }

  #allows(address: Address): boolean {
    return isIn(address, this.#allowed) || !(isIn(address, REFUSED) || isIn(address, this.#own));
  }
}

/** @returns the entry in the form that `AddressRule` takes; `undefined` for invalid text */
export function parseAllowedDestination(text: string): string | undefined {
  if (parseNetwork(text) !== undefined) {
    return text;
  }
  const host = /^[\p{L}\p{N}._-]+$/u.test(text) ? URL.parse(`http://${text}`)?.hostname : undefined;
  return host?.replace(/\.$/u, '');
}

/** @returns the address in a URL's host, in any notation that URLs allow; `undefined` when the host is a name */
export function addressInUrl(url: string): string | undefined {
  const host = (URL.parse(url)?.hostname ?? '').replace(/^\[|\]$/gu, '');
  return isIP(host) === 0 ? undefined : host;
}

/** An address is a network of one. */
export function parseNetwork(text: string): Network | undefined {
  const [, start = text, digits] = /^(.+)\/(\d{1,3})$/u.exec(text) ?? [];
  const address = parseAddress(start);
  const bitsMax = address?.kind() === 'ipv4' ? 32 : 128;
  const bits = Number(digits ?? bitsMax);
  return address === undefined || bits > bitsMax ? undefined : [address, bits];
}

/**
 * ipaddr.js also reads notations such as `127.1` and zones such as `%eth0`, which are not addresses here. It takes the
 * IPv4-compatible `::127.0.0.1` for the IPv4-mapped `::ffff:127.0.0.1`, so URL writes IPv6 addresses in groups first.
 */
export function parseAddress(text: string): Address | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 6) {
    return ipaddr.IPv6.parse(new URL(`http://[${text}]`).hostname.slice(1, -1));
  }
  return version === 4 ? ipaddr.IPv4.parse(text) : undefined;
}

function networksOf(entries: readonly string[]): Network[] {
  return entries.map((entry) => parseNetwork(entry)).filter((network) => network !== undefined);
}

function isIn(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([start, bits]) => start.kind() === address.kind() && address.match(start, bits));
}

function embeddedIpv4(address: Address): Address[] {
  const bytes = address.toByteArray();
  if (isIn(address, ENDS_IN_IPV4)) {
    return [new ipaddr.IPv4(bytes.slice(-4))];
  }
  return isIn(address, SIX_TO_FOUR) ? [new ipaddr.IPv4(bytes.slice(2, 6))] : [];
}
