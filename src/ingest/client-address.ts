import { isIP, SocketAddress } from 'node:net';
import type { Request } from 'express';

/** Whoever has one IPv6 address has all of its network of 64 bits, which is four groups of digits. */
const NETWORK_GROUPS = 4;
const MAPPED_IPV4 = /^::ffff:(?<address>[\d.]+)$/u;

/**
 * Who sends a request, as far as an address can tell: that of the connection or, behind proxies that are
 * trusted, the one that they name.
 */
export function clientAddressOf({ ip, socket }: Pick<Request, 'ip' | 'socket'>): string {
  // A trusted proxy may still pass on what is no address.
  return networkOf(ip !== undefined && isIP(ip) !== 0 ? ip : (socket.remoteAddress ?? ''));
}

/** An IPv4 address is its own network, also where it is written as one of IPv6. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) {
    return address;
  }
  const { address: canonical } = new SocketAddress({ address, family: 'ipv6' });
  const mapped = MAPPED_IPV4.exec(canonical)?.groups?.['address'];
  return mapped ?? `${groupsOf(canonical).slice(0, NETWORK_GROUPS).join(':')}::/64`;
}

/** The eight groups, of which the longest run of zeros is left out in the text. */
function groupsOf(canonical: string): string[] {
  const [before = [], after = []] = canonical
    .split('::')
    .map((part) => part.split(':').filter((group) => group !== ''));
  return [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
}
