import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';

const EVERY_INTERFACE = new Set(['0.0.0.0', '::']);

/** The addresses that a server is reached at when it listens on the host; as they are now. */
export async function ownAddresses(host: string): Promise<string[]> {
  const listened = (await lookup(host, { all: true })).map(({ address }) => address);
  const found = listened.some((address) => EVERY_INTERFACE.has(address))
    ? Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
    : listened;
  return found.map((address) => address.replace(/%.*$/u, ''));
}
