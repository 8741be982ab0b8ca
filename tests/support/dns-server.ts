import { createSocket, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { once } from 'node:events';
import { isIP, type LookupFunction } from 'node:net';

const TYPE_A = 1;
const TYPE_AAAA = 28;

/** The addresses of a name; asked at each query. */
export type Zone = (name: string, family: 4 | 6) => readonly string[];

/** A real DNS server on loopback. Nothing may be kept of its answers: they live for no time. */
export class DnsServer {
  /** Addresses in the order in which they were answered. */
  readonly answered: string[] = [];
  readonly #socket: Socket;
  readonly #zone: Zone;

  private constructor(socket: Socket, zone: Zone) {
    this.#socket = socket;
    this.#zone = zone;
    socket.on('message', (query, { port, address }) => socket.send(this.#answer(query), port, address));
  }

  static async start(zone: Zone): Promise<DnsServer> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket, zone);
  }

  /** What the system's look-up does, asking this server. */
  get lookup(): LookupFunction {
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${this.#socket.address().port}`]);
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

  #answer(query: Buffer): Buffer {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    const addresses = type === TYPE_A ? this.#zone(name, 4) : type === TYPE_AAAA ? this.#zone(name, 6) : [];
    this.answered.push(...addresses);
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8580, 2);
    header.writeUInt16BE(addresses.length, 6);
    header.fill(0, 8);
    return Buffer.concat([header, query.subarray(12, end + 4), ...addresses.map((one) => record(type, one))]);
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

function record(type: number, address: string): Buffer {
  const data = type === TYPE_A ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address);
  // The name by a pointer to the question, the class IN, and no time to live.
  const fields = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length]);
  return Buffer.concat([fields, data]);
}

function ipv6Bytes(address: string): Buffer {
  const [head = [], tail = []] = address.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  const groups = address.includes('::') ? [...head, ...zeros, ...tail] : head;
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
