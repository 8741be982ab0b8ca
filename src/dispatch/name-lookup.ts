import { type LookupAddress, type LookupOptions, Resolver } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { LRUCache } from 'lru-cache';
import { type Hosts, parseHosts, parseSearchRule, queryName, type SearchRule, CachedFile } from './name-servers.ts';

/** Where names are looked up. Options that are missing are the system's. It travels to threads. */
export interface NameLookupOptions {
  /** Name servers, as `dns.setServers` takes them. */
  readonly servers?: readonly string[] | undefined;
  readonly hostsPath?: string | undefined;
  readonly resolvPath?: string | undefined;
}

/** An answer is cached for its own time to live, but no longer than this. */
const CACHED_MS_MAX = 5_000;
/** How long it is cached that a name has no address. */
const NONE_CACHED_MS = 1_000;
const NAMES_CACHED_MAX = 1_000;
const ADDRESSES_PER_NAME_MAX = 32;
/** Far more than the requests that can be under way. */
const QUERIES_MAX = 4_096;
/** The time a name server has to answer. */
const QUERY_TIMEOUT_MS = 2_000;
const QUERY_TRIES = 2;
/** A look-up ends before its request does, so that the outcome of the attempt names the look-up as the cause. */
const SHARE_OF_TIMEOUT = 3 / 4;
const LOOKUP_MS_MAX = 10_000;

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** The name has no address, or no name server answered. */
class LookupError extends Error {
  override readonly name = 'LookupError';
  readonly code: 'ENOTFOUND' | 'EAI_AGAIN';

  constructor(code: LookupError['code']) {
    super(code === 'ENOTFOUND' ? 'The name has no address.' : 'No name server has answered for the name.');
    this.code = code;
  }
}

/**
 * Looks up the addresses of names in the hosts file and at name servers. Rejected: `dns.lookup` occupies one of the few
 * threads of the process until the system gives up, so a handful of names with a silent server block all others.
 */
export class NameLookup {
  readonly #timeoutMs: number;
  readonly #hosts: CachedFile<Hosts>;
  readonly #system: CachedFile<{ readonly search: SearchRule; readonly resolver: Resolver }>;
  readonly #cache = new LRUCache<string, readonly LookupAddress[]>({ max: NAMES_CACHED_MAX });
  readonly #pending = new Map<string, Promise<readonly LookupAddress[]>>();
  #queries = 0;

  /** @param timeoutMs the timeout of a request; the look-up may use a part of it */
  constructor({ servers, hostsPath, resolvPath, timeoutMs }: NameLookupOptions & { readonly timeoutMs: number }) {
    this.#timeoutMs = Math.min(timeoutMs * SHARE_OF_TIMEOUT, LOOKUP_MS_MAX);
    this.#hosts = new CachedFile(hostsPath ?? systemHostsPath(), parseHosts);
    // A resolver reads the same file only when it is created.
    this.#system = new CachedFile(resolvPath ?? '/etc/resolv.conf', (text) => ({
      search: parseSearchRule(text),
      resolver: newResolver(servers),
    }));
  }

  /** The `lookup` option of Node's connections. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.#addressesOf(host.toLowerCase()).then(
      (addresses) => process.nextTick(answer, addresses, options, callback),
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
    // RFC 6761, section 6.3: these names must not be sent to name servers.
    if (name === 'localhost' || name.endsWith('.localhost')) {
      return LOOPBACK;
    }
    const cached = this.#cache.get(host);
    if (cached !== undefined) {
      return cached;
    }
    return this.#joinQuery(host);
  }

  #joinQuery(host: string): Promise<readonly LookupAddress[]> {
    const pending = this.#pending.get(host);
    if (pending !== undefined) {
      return pending;
    }
    if (this.#queries >= QUERIES_MAX) {
      return Promise.reject(new LookupError('EAI_AGAIN'));
    }
    const query = this.#withinTime(this.#query(host)).finally(() => this.#pending.delete(host));
    this.#pending.set(host, query);
    return query;
  }

  async #query(host: string): Promise<readonly LookupAddress[]> {
    const found = await queryName(host, this.#system.content, (done) => void this.#count(done));
    if (found === undefined) {
      throw new LookupError('EAI_AGAIN');
    }
    const addresses = found.addresses.slice(0, ADDRESSES_PER_NAME_MAX);
    const cachedMs = addresses.length === 0 ? NONE_CACHED_MS : Math.min(found.ttlMs, CACHED_MS_MAX);
    if (cachedMs > 0) {
      this.#cache.set(host, addresses, { ttl: cachedMs });
    }
    return addresses;
  }

  async #count(done: Promise<unknown>): Promise<void> {
    this.#queries += 1;
    await done;
    this.#queries -= 1;
  }

  /** A later answer is still cached, for the next attempt. */
  async #withinTime<Answer>(query: Promise<Answer>): Promise<Answer> {
    const { promise: isTimeUp, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new LookupError('EAI_AGAIN')), this.#timeoutMs);
    try {
      return await Promise.race([query, isTimeUp]);
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

function answer(
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
