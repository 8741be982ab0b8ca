import type { AttemptError } from '../core/delivery.ts';

/** Node's and OpenSSL's codes, by what they mean to the owner of a destination. */
const BY_CODE: Readonly<Record<string, AttemptError>> = {
  ETIMEDOUT: 'TIMEOUT',
  ENOTFOUND: 'DNS',
  EAI_AGAIN: 'DNS',
  EAI_FAIL: 'DNS',
  EAI_NODATA: 'DNS',
  EAI_NONAME: 'DNS',
  ECONNREFUSED: 'CONNECTION_REFUSED',
  ECONNRESET: 'CONNECTION_RESET',
  ECONNABORTED: 'CONNECTION_RESET',
  EPIPE: 'CONNECTION_RESET',
  EHOSTUNREACH: 'UNREACHABLE',
  EHOSTDOWN: 'UNREACHABLE',
  ENETUNREACH: 'UNREACHABLE',
  EADDRNOTAVAIL: 'UNREACHABLE',
  EACCES: 'UNREACHABLE',
  EPROTO: 'TLS',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'TLS',
  SELF_SIGNED_CERT_IN_CHAIN: 'TLS',
  HOSTNAME_MISMATCH: 'TLS',
  ERR_PROXY_NO_TUNNEL: 'UNREACHABLE',
  ERR_ADDRESS_REFUSED: 'ADDRESS_REFUSED',
  ERR_INVALID_URL: 'INVALID_REQUEST',
  ERR_INVALID_CHAR: 'INVALID_REQUEST',
  ERR_INVALID_HTTP_TOKEN: 'INVALID_REQUEST',
  ERR_UNESCAPED_CHARACTERS: 'INVALID_REQUEST',
  ERR_URL_TOO_LONG: 'URL_TOO_LONG',
};

const BY_PREFIX: readonly (readonly [prefix: string, error: AttemptError])[] = [
  ['HPE_', 'INVALID_RESPONSE'],
  ['ERR_TLS_', 'TLS'],
  ['ERR_SSL_', 'TLS'],
  ['CERT_', 'TLS'],
  ['UNABLE_TO_', 'TLS'],
];

/** @param otherwise when it is none of the known ones */
export function attemptErrorOf(error: unknown, otherwise: AttemptError = 'UNKNOWN'): AttemptError {
  const code = codeOf(error);
  return BY_CODE[code] ?? BY_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1] ?? otherwise;
}

// got wraps what it catches; the code at the root is Node's own.
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return '';
  }
  const code = 'code' in error ? String(error.code) : '';
  const known = code in BY_CODE || BY_PREFIX.some(([prefix]) => code.startsWith(prefix));
  return known ? code : codeOf(error.cause) || code;
}
