import type { LookupAddress, RecordWithTtl, Resolver } from 'node:dns';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** How long an answer with addresses of one family waits for the other (RFC 8305, section 3, recommends 50 ms). */
const OTHER_FAMILY_MS = 100;

interface NameAnswer {
  /** IPv4 before IPv6; empty if the name has none. */
  readonly addresses: readonly LookupAddress[];
  readonly ttlMs: number;
}

interface FamilyAnswer {
  readonly family: 4 | 6;
  readonly records: readonly RecordWithTtl[];
  /** The error code of `node:dns` if there are no records. */
  readonly code: string | undefined;
}

/** With these codes it is certain that the name has no address of the family. */
const NO_ADDRESS_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME', 'EBADQUERY']);

/**
 * Queries the candidates that the search rule makes of a name, one after another, until one has addresses.
 *
 * @param onQuery called with a promise that resolves when the queries have ended, which may be after the answer
 * @returns `undefined` when the name servers gave no answer
 */
export async function queryName(
  name: string,
  { resolver, search }: { readonly resolver: Resolver; readonly search: SearchRule },
  onQuery: (done: Promise<unknown>) => void,
): Promise<NameAnswer | undefined> {
  let isKnown = true;
  for (const candidate of candidatesOf(name, search)) {
    const families = [4 as const, 6 as const].map((family) => queryFamily(resolver, candidate, family));
    onQuery(Promise.all(families));
    const answers = await firstAnswers(families);
    const found = joined(answers);
    if (found.addresses.length > 0) {
      return found;
    }
    isKnown &&= answers.every(({ code }) => code === undefined || NO_ADDRESS_CODES.has(code));
    // A server that does not answer for one name will not answer for the next.
    if (answers.some(({ code }) => code === 'ETIMEOUT')) {
      break;
    }
  }
  return isKnown ? { addresses: [], ttlMs: 0 } : undefined;
}

function queryFamily(resolver: Resolver, name: string, family: 4 | 6): Promise<FamilyAnswer> {
  return new Promise((resolve) => {
    const settle = (error: NodeJS.ErrnoException | null, records: RecordWithTtl[]): void =>
      resolve({ family, records: error === null ? records : [], code: error?.code ?? undefined });
    try {
      if (family === 4) {
        resolver.resolve4(name, { ttl: true }, settle);
      } else {
        resolver.resolve6(name, { ttl: true }, settle);
      }
    } catch (error) {
      // A name that cannot be queried throws at once.
      settle(error as NodeJS.ErrnoException, []);
    }
  });
}

async function firstAnswers(families: readonly Promise<FamilyAnswer>[]): Promise<FamilyAnswer[]> {
  const first = await Promise.race(families);
  const both = Promise.all(families);
  if (first.records.length === 0) {
    return both;
  }
  const { promise: onlyFirst, resolve } = Promise.withResolvers<FamilyAnswer[]>();
  const timer = setTimeout(() => resolve([first]), OTHER_FAMILY_MS);
  const answers = await Promise.race([both, onlyFirst]);
  clearTimeout(timer);
  return answers;
}

function joined(answers: readonly FamilyAnswer[]): NameAnswer {
  const records = answers.flatMap((answer) => answer.records.map((record) => ({ ...record, family: answer.family })));
  return {
    addresses: records.map(({ address, family }) => ({ address, family })),
    ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1_000,
  };
}

/** How long a file is assumed to be unchanged. */
const RECHECK_MS = 5_000;

/** A small text file that an administrator may change at any time. It is read again when it has changed. */
export class CachedFile<Content> {
  readonly #path: string;
  readonly #parse: (text: string) => Content;
  #read: { readonly state: string; readonly content: Content } | undefined;
  #recheckAt = Number.NEGATIVE_INFINITY;

  /** @param parse gets an empty text if the file cannot be read */
  constructor(path: string, parse: (text: string) => Content) {
    this.#path = path;
    this.#parse = parse;
  }

  get content(): Content {
    const now = performance.now();
    if (this.#read !== undefined && now < this.#recheckAt) {
      return this.#read.content;
    }
    this.#recheckAt = now + RECHECK_MS;
    const state = this.#state();
    if (this.#read?.state !== state) {
      this.#read = { state, content: this.#parse(this.#text()) };
    }
    return this.#read.content;
  }

  #state(): string {
    try {
      const { ino, mtimeNs, size } = statSync(this.#path, { bigint: true });
      return `${ino} ${mtimeNs} ${size}`;
    } catch {
      return 'none';
    }
  }

  #text(): string {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch {
      return '';
    }
  }
}

/** Addresses by name, in lower case. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

/** @param text in the form of /etc/hosts */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = wordsOf(line);
    for (const name of isIP(address) === 0 ? [] : names) {
      const known = hosts.get(name.toLowerCase()) ?? [];
      hosts.set(name.toLowerCase(), known.includes(address) ? known : [...known, address]);
    }
  }
  return hosts;
}

/** How short names are completed. */
export interface SearchRule {
  readonly domains: readonly string[];
  /** A name with at least this many dots is first tried as it is. */
  readonly dots: number;
}

const DOMAINS_MAX = 16;
const DOTS_MAX = 15;

/** @param text in the form of /etc/resolv.conf */
export function parseSearchRule(text: string): SearchRule {
  let domains: string[] = [];
  let dots = 1;
  for (const line of text.split('\n')) {
    const [keyword = '', ...words] = wordsOf(line);
    if (keyword === 'search' || keyword === 'domain') {
      domains = words.map((domain) => domain.replace(/^\.+|\.+$/gu, '')).filter((domain) => domain !== '');
    } else if (keyword === 'options') {
      const given = words.map((word) => /^ndots:(\d{1,3})$/u.exec(word)?.[1]).find((number) => number !== undefined);
      dots = given === undefined ? dots : Math.min(Number(given), DOTS_MAX);
    }
  }
  return { domains: domains.slice(0, DOMAINS_MAX), dots };
}

/** The names to query for a name, in the order of the C library. */
function candidatesOf(name: string, { domains, dots }: SearchRule): string[] {
  if (name.endsWith('.')) {
    return [name.slice(0, -1)];
  }
  const longer = domains.map((domain) => `${name}.${domain}`);
  return name.split('.').length > dots ? [name, ...longer] : [...longer, name];
}

function wordsOf(line: string): string[] {
  return line
    .replace(/[#;].*$/u, '')
    .split(/\s+/u)
    .filter((word) => word !== '');
}
