import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { once } from 'node:events';
import { isIP, type LookupFunction } from 'node:net';

const TYPE_A = 1;
const TYPE_AAAA = 28;

/** Asked at each query: the addresses of a name, that there is no such name, or no answer at all. */
export type Zone = (name: string, family: 4 | 6) => readonly string[] | 'unknown' | 'silence';

/** A real DNS server on loopback. */
export class DnsServer {
  /** Names in the order in which they were asked for, with the family. */
  readonly asked: string[] = [];
  /** Addresses in the order in which they were answered. */
  readonly answered: string[] = [];
  readonly #socket: Socket;
  readonly #zone: Zone;
  readonly #ttl: number;

  private constructor(socket: Socket, zone: Zone, ttl: number) {
    this.#socket = socket;
    this.#zone = zone;
    this.#ttl = ttl;
    socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer !== undefined) {
        socket.send(answer, port, address);
      }
    });
  }

  /** @param ttl how long its answers may be kept, in seconds */
  static async start(zone: Zone, { ttl = 0 } = {}): Promise<DnsServer> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket, zone, ttl);
  }

  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** What the system's look-up does, asking this server. */
  get lookup(): LookupFunction {
    const resolver = new Resolver();
    resolver.setServers([this.address]);
    return (name, options, callback) => {
      resolver.resolve4(name, (noIpv4, ipv4) => {
        resolver.resolve6(name, (noIpv6, ipv6) => {
          const found = [...(noIpv4 ? [] : ipv4), ...(noIpv6 ? [] : ipv6)];
          const addresses = found.map((address) => ({ address, family: isIP(address) }));
          const [first] = addresses;
          if (first === undefined) {
            callback(Object.assign(new Error('The name has no address.'), { code: 'ENOTFOUND' }), []);
          } else if (options.all === true) {
            callback(null, addresses);
          } else {
            callback(null, first.address, first.family);
          }
        });
      });
    };
  }

  close(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer | undefined {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    const family = type === TYPE_A ? 4 : 6;
    this.asked.push(`${name} ${family}`);
    const found = type === TYPE_A || type === TYPE_AAAA ? this.#zone(name, family) : [];
    if (found === 'silence') {
      return undefined;
    }
    const addresses = found === 'unknown' ? [] : found;
    this.answered.push(...addresses);
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(found === 'unknown' ? 0x8583 : 0x8580, 2);
    header.writeUInt16BE(addresses.length, 6);
    header.fill(0, 8);
    const records = addresses.map((address) => record(type, address, this.#ttl));
    return Buffer.concat([header, query.subarray(12, end + 4), ...records]);
  }
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function record(type: number, address: string, ttl: number): Buffer {
  const data = type === TYPE_A ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address);
  // The name by a pointer to the question, and the class IN.
  const fields = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, ttl, 0, data.length]);
  return Buffer.concat([fields, data]);
}

function ipv6Bytes(address: string): Buffer {
  const [head = [], tail = []] = address.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const groups = address.includes('::') ? [...head, ...zeros, ...tail] : head;
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
