import { parseAllowedDestination } from './core/address-rule.ts';
import { ConfigError } from './environment.ts';

/** Where requests may go, and which way. */
export interface EgressConfig {
  /** Requests may go to addresses of the internet only, and to what is allowed; else they may go anywhere. */
  readonly isFiltered: boolean;
  readonly allowed: readonly string[];
  /** An HTTP proxy, with its password if it has one. */
  readonly proxyUrl: string | undefined;
}

interface EgressSettings {
  readonly isExposed: boolean;
  /** `ALLOW_DESTINATIONS`; empty where it is not set. */
  readonly allow: string;
  /** `EGRESS_PROXY`; empty where it is not set. */
  readonly proxy: string;
}

/** Whoever names exceptions wants the rule: a worker on loopback cannot know that its events come from strangers. */
export function parseEgress({ isExposed, allow, proxy }: EgressSettings): EgressConfig {
  const entries = allow === '' || allow === 'none' ? [] : allow.split(',').map((part) => part.trim());
  return {
    isFiltered: isExposed || allow !== '',
    allowed: entries.map((entry) => requireAllowed(entry)),
    proxyUrl: parseProxyUrl(proxy),
  };
}

function requireAllowed(entry: string): string {
  const allowed = parseAllowedDestination(entry);
  if (allowed === undefined) {
    throw new ConfigError(
      'ALLOW_DESTINATIONS must be networks, addresses and host names separated by commas, such as 10.1.0.0/16,fd00::1,hooks.internal, or "none".',
    );
  }
  return allowed;
}

function parseProxyUrl(text: string): string | undefined {
  const url = URL.parse(text);
  const isWhole = url?.protocol === 'http:' && url.pathname === '/' && url.search === '' && url.hash === '';
  if (text !== '' && !(isWhole && canBeDecoded(url))) {
    throw new ConfigError('EGRESS_PROXY must be that of an HTTP proxy, such as http://user:password@proxy:3128.');
  }
  return text === '' ? undefined : text;
}

function canBeDecoded({ username, password }: URL): boolean {
  try {
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}
