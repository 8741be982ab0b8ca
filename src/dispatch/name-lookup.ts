import { type LookupAddress, type LookupOptions, Resolver } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import { type Hosts, parseHosts, parseSearchRule, queryName, type SearchRule, WatchedFile } from './name-servers.ts';

/** Where names are looked up; what is not given is the system's. It travels to threads. */
export interface NameLookupOptions {
  /** Name servers, as `dns.setServers` takes them. */
  readonly servers?: readonly string[] | undefined;
  readonly hostsPath?: string | undefined;
  readonly resolvPath?: string | undefined;
}

/** Answers are kept for their own time to live, and no longer than that. */
const KEPT_MS_MAX = 5_000;
/** That a name has no address. */
const NONE_KEPT_MS = 1_000;
const NAMES_KEPT_MAX = 1_000;
const ADDRESSES_PER_NAME_MAX = 32;
/** Far more than there can be requests under way. */
const QUERIES_MAX = 4_096;
/** A name server has that time to answer, twice in all. */
const QUERY_TIMEOUT_MS = 2_000;
const QUERY_TRIES = 2;
/** Of the time that a request has: whoever waits for a name is to be told that it was the name. */
const SHARE_OF_TIMEOUT = 3 / 4;
const LOOKUP_MS_MAX = 10_000;

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** The name has no address, or nobody could say. */
class LookupError extends Error {
  override readonly name = 'LookupError';
  readonly code: 'ENOTFOUND' | 'EAI_AGAIN';

  constructor(code: LookupError['code']) {
    super(code === 'ENOTFOUND' ? 'The name has no address.' : 'No name server has answered for the name.');
    this.code = code;
  }
}

/**
 * Addresses of names, from the hosts file and from name servers. Not by `dns.lookup`: that takes a thread of the few
 * that a process has until the system gives up, so that a handful of names with a silent server stop all others.
 */
export class NameLookup {
  readonly #giveUpMs: number;
  readonly #hosts: WatchedFile<Hosts>;
  readonly #system: WatchedFile<{ readonly search: SearchRule; readonly resolver: Resolver }>;
  readonly #kept = new LRUCache<string, readonly LookupAddress[]>({ max: NAMES_KEPT_MAX });
  readonly #asked = new Map<string, Promise<readonly LookupAddress[]>>();
  #queriesUnderWay = 0;

  /** @param timeoutMs what a request has, of which the look-up uses a part */
  constructor({ servers, hostsPath, resolvPath, timeoutMs }: NameLookupOptions & { readonly timeoutMs: number }) {
    this.#giveUpMs = Math.min(timeoutMs * SHARE_OF_TIMEOUT, LOOKUP_MS_MAX);
    this.#hosts = new WatchedFile(hostsPath ?? systemHostsPath(), parseHosts);
    // A resolver reads the same file when it is made, and never again.
    this.#system = new WatchedFile(resolvPath ?? '/etc/resolv.conf', (text) => ({
      search: parseSearchRule(text),
      resolver: newResolver(servers),
    }));
  }

  /** In the form in which Node's connections ask. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.#addressesOf(host.toLowerCase()).then(
      (addresses) => process.nextTick(passOn, addresses, options, callback),
      (error: LookupError) => process.nextTick(callback, error, []),
    );
  };

  close(): void {
    this.#system.content.resolver.cancel();
  }

  async #addressesOf(host: string): Promise<readonly LookupAddress[]> {
    const name = host.endsWith('.') ? host.slice(0, -1) : host;
    const own = this.#hosts.content.get(name);
    if (own !== undefined) {
      return own.map((address) => ({ address, family: isIP(address) }));
    }
    // RFC 6761, section 6.3: name servers are not to be asked for them.
    if (name === 'localhost' || name.endsWith('.localhost')) {
      return LOOPBACK;
    }
    const kept = this.#kept.get(host);
    if (kept !== undefined) {
      return kept;
    }
    return this.#joinQuery(host);
  }

  #joinQuery(host: string): Promise<readonly LookupAddress[]> {
    const asked = this.#asked.get(host);
    if (asked !== undefined) {
      return asked;
    }
    if (this.#queriesUnderWay >= QUERIES_MAX) {
      return Promise.reject(new LookupError('EAI_AGAIN'));
    }
    const asking = this.#withinTime(this.#query(host)).finally(() => this.#asked.delete(host));
    this.#asked.set(host, asking);
    return asking;
  }

  async #query(host: string): Promise<readonly LookupAddress[]> {
    const answer = await queryName(host, this.#system.content, (done) => void this.#count(done));
    if (answer === undefined) {
      throw new LookupError('EAI_AGAIN');
    }
    const addresses = answer.addresses.slice(0, ADDRESSES_PER_NAME_MAX);
    const keptMs = addresses.length === 0 ? NONE_KEPT_MS : Math.min(answer.ttlMs, KEPT_MS_MAX);
    if (keptMs > 0) {
      this.#kept.set(host, addresses, { ttl: keptMs });
    }
    return addresses;
  }

  async #count(done: Promise<unknown>): Promise<void> {
    this.#queriesUnderWay += 1;
    await done;
    this.#queriesUnderWay -= 1;
  }

  /** What comes later is kept all the same, for the next attempt. */
  async #withinTime<Answer>(query: Promise<Answer>): Promise<Answer> {
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new LookupError('EAI_AGAIN')), this.#giveUpMs);
    try {
      return await Promise.race([query, givenUp]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function newResolver(servers: readonly string[] | undefined): Resolver {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  if (servers !== undefined) {
    resolver.setServers(servers);
  }
  return resolver;
}

function passOn(
  addresses: readonly LookupAddress[],
  { family, all }: LookupOptions,
  callback: Parameters<LookupFunction>[2],
): void {
  const wanted = addresses.filter((address) => isOfFamily(address, family));
  const [first] = wanted;
  if (first === undefined) {
    callback(new LookupError('ENOTFOUND'), []);
  } else if (all === true) {
    callback(null, wanted);
  } else {
    callback(null, first.address, first.family);
  }
}

function isOfFamily(address: LookupAddress, family: number | string | undefined): boolean {
  const wanted = family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : (family ?? 0);
  return wanted === 0 || address.family === wanted;
}

function systemHostsPath(): string {
  return process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts';
}
