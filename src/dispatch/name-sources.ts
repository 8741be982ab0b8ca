import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** How long a file is taken to be as it was. */
const LOOK_AGAIN_MS = 5_000;

/** A small text file that the administrator may change at any time, read again when it has changed. */
export class WatchedFile<Content> {
  readonly #path: string;
  readonly #parse: (text: string) => Content;
  #read: { readonly state: string; readonly content: Content } | undefined;
  #lookAgainAt = Number.NEGATIVE_INFINITY;

  /** @param parse is given an empty text where there is no file that can be read */
  constructor(path: string, parse: (text: string) => Content) {
    this.#path = path;
    this.#parse = parse;
  }

  get content(): Content {
    const now = performance.now();
    if (this.#read !== undefined && now < this.#lookAgainAt) {
      return this.#read.content;
    }
    this.#lookAgainAt = now + LOOK_AGAIN_MS;
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

/** The addresses of each name, in lower case. */
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

/** How short names become long ones. */
export interface SearchRule {
  readonly domains: readonly string[];
  /** A name with so many dots is tried as it is first. */
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
      const told = words.map((word) => /^ndots:(\d{1,3})$/u.exec(word)?.[1]).find((number) => number !== undefined);
      dots = told === undefined ? dots : Math.min(Number(told), DOTS_MAX);
    }
  }
  return { domains: domains.slice(0, DOMAINS_MAX), dots };
}

/** The names to be asked for in the place of one, in that order, as the C library has them. */
export function candidatesOf(name: string, { domains, dots }: SearchRule): string[] {
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
