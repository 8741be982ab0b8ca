import { BlockList, isIP } from 'node:net';

/** What is refused, after IANA's registries of special-purpose addresses and the clouds' own words. */
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
 * Only 2000::/3 is given out to anyone. Beyond it are unspecified, loopback, IPv4-mapped and -compatible, NAT64
 * (64:ff9b::/96 and 64:ff9b:1::/48), discard, segment routing, unique local (fd00:ec2::254 is Amazon's metadata),
 * link-local, site-local and multicast addresses.
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
  /** Addresses, networks such as 10.0.0.0/8, and host names, as `parseAllowedDestination` answers them. */
  readonly allowed: readonly string[];
  /** Addresses that the server itself listens at. */
  readonly own: readonly string[];
}

/** One list for each family: Node's would take an IPv4 address for its IPv4-mapped one, and judge it by both. */
class Networks {
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();

  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address = '', bits] = entry.split('/');
      if (isIP(address) === 4) {
        this.#ipv4.addSubnet(address, Number(bits ?? 32), 'ipv4');
      } else {
        this.#ipv6.addSubnet(address, Number(bits ?? 128), 'ipv6');
      }
    }
  }

  has(address: string): boolean {
    return isIP(address) === 4 ? this.#ipv4.check(address, 'ipv4') : this.#ipv6.check(address, 'ipv6');
  }
}

const REFUSED = new Networks([...REFUSED_IPV4, ...REFUSED_IPV6]);

/** Which addresses a request may be sent to. */
export class AddressRule {
  readonly #allowed: Networks;
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #own: Networks;

  constructor({ allowed, own }: AddressRuleOptions) {
    this.#allowed = new Networks(allowed.filter((entry) => isNetwork(entry)));
    this.#allowedHosts = new Set(allowed.filter((entry) => !isNetwork(entry)));
    this.#own = new Networks(own);
  }

  /** Whatever it resolves to may be called. */
  allowsHost(host: string): boolean {
    return this.#allowedHosts.has(host.toLowerCase().replace(/\.$/u, ''));
  }

  /** @param address as it is connected to; what is no plain IP address is refused. */
  allowsAddress(address: string): boolean {
    const version = isIP(address);
    if (version === 0 || address.includes('%')) {
      return false;
    }
    // A NAT64 network that is allowed must not lead to an IPv4 address that is not.
    const embedded = version === 6 ? embeddedIpv4(address) : undefined;
    return this.#allows(address) && (embedded === undefined || this.#allows(embedded));
  }

  #allows(address: string): boolean {
    return this.#allowed.has(address) || !(REFUSED.has(address) || this.#own.has(address));
  }
}

/** @returns the entry in the one spelling that the rule knows; `undefined` when it is none. */
export function parseAllowedDestination(text: string): string | undefined {
  const [, address = '', bits] = /^([\d.a-f:]+)\/(\d{1,3})$/iu.exec(text) ?? [];
  if (bits !== undefined) {
    const isInRange = Number(bits) <= (isIP(address) === 4 ? 32 : 128);
    return isIP(address) !== 0 && isInRange ? `${address}/${bits}` : undefined;
  }
  if (isIP(text) === 6) {
    return text.includes('%') ? undefined : text;
  }
  const host = /^[\p{L}\p{N}._-]+$/u.test(text) ? URL.parse(`http://${text}`)?.hostname : undefined;
  return host?.replace(/\.$/u, '');
}

/** The host that a URL names when that is an address, in whichever of the spellings that URLs know. */
export function addressInUrl(url: string): string | undefined {
  const host = (URL.parse(url)?.hostname ?? '').replace(/^\[|\]$/gu, '');
  return isIP(host) === 0 ? undefined : host;
}

function isNetwork(entry: string): boolean {
  return entry.includes('/') || isIP(entry) !== 0;
}

/** Of IPv4-compatible, -mapped and -translated addresses, and of both prefixes of NAT64. */
const ENDS_IN_IPV4 = /^(?:0:0:0:0:0:(?:0|ffff)|0:0:0:0:ffff:0|64:ff9b:(?:0|1):.*):[^:]*:[^:]*$/u;

function embeddedIpv4(address: string): string | undefined {
  const groups = groupsOf(address);
  if (ENDS_IN_IPV4.test(groups.join(':'))) {
    return dotted(groups[6], groups[7]);
  }
  return groups[0] === '2002' ? dotted(groups[1], groups[2]) : undefined;
}

/** The eight groups of an IPv6 address, in hexadecimal without leading zeros. */
function groupsOf(address: string): string[] {
  const host = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = host.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = host.includes('::') ? 8 - head.length - tail.length : 0;
  return [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
}

function dotted(high = '0', low = '0'): string {
  const bytes = [high, low].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
  return bytes.join('.');
}
