import { type AttemptError, attemptMessage } from '../core/delivery.ts';

/** Why an attempt failed. */
export interface AttemptFailure {
  readonly error: AttemptError;
  /** `null` if nothing is known that the code does not say. */
  readonly message: string | null;
}

/** Error codes of Node and OpenSSL, translated for the owner of the destination. */
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

const UNKNOWN_AUTHORITY = 'The certificate was not issued by a known authority.';

const SENTENCES: Readonly<Record<string, string>> = {
  ETIMEDOUT: 'The connection was not made in time.',
  ENOTFOUND: 'The host name leads to no address.',
  EAI_NODATA: 'The host name leads to no address.',
  EAI_NONAME: 'The host name leads to no address.',
  EAI_AGAIN: 'The name servers do not answer.',
  EAI_FAIL: 'The name servers do not answer.',
  ECONNREFUSED: 'Nothing accepts connections at this address and port.',
  ECONNRESET: 'The connection was closed before there was a response.',
  EPIPE: 'The connection was closed before there was a response.',
  EHOSTUNREACH: 'There is no way to the host.',
  ENETUNREACH: 'There is no way to the network of the host.',
  EPROTO: 'The other side does not speak TLS, or no version that both accept.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'The other side does not speak TLS.',
  CERT_HAS_EXPIRED: 'The certificate has expired.',
  CERT_NOT_YET_VALID: 'The certificate is not valid yet.',
  CERT_REVOKED: 'The certificate was revoked.',
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'The certificate is self-signed.',
  SELF_SIGNED_CERT_IN_CHAIN: 'The chain of certificates contains a self-signed one that is not known.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  HOSTNAME_MISMATCH: 'The certificate is for another host name.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate is for another host name.',
};

/** Their texts are ours, and tell the owner of the destination what to do. */
const OWN_CODES: ReadonlySet<string> = new Set([
  'ERR_ADDRESS_REFUSED',
  'ERR_PROXY_NO_TUNNEL',
  'ERR_URL_TOO_LONG',
  'ERR_INVALID_URL',
]);

/** For errors that have a code of their own but no sentence above. */
const BY_ERROR: Partial<Readonly<Record<AttemptError, string>>> = {
  UNREACHABLE: 'The host cannot be reached.',
  CONNECTION_RESET: 'The connection was closed before there was a response.',
  TLS: 'The other side and Data Pusher do not agree on a secure connection.',
  INVALID_RESPONSE: 'The response is not valid HTTP.',
  INVALID_REQUEST: 'The request cannot be written as HTTP.',
};

/**
 * Tells nothing that is not the owner's to know: no text of other programs, and no addresses but refused ones.
 *
 * @param otherwise the result for an unknown error
 */
export function attemptFailureOf(error: unknown, otherwise: AttemptError = 'UNKNOWN'): AttemptFailure {
  const cause = causeOf(error);
  if (cause === undefined) {
    return { error: otherwise, message: null };
  }
  const { code, text } = cause;
  const known = classOf(code) ?? otherwise;
  if (OWN_CODES.has(code)) {
    return { error: known, message: attemptMessage(text) };
  }
  const sentence = SENTENCES[code] ?? BY_ERROR[known] ?? 'The request failed.';
  return { error: known, message: attemptMessage(`${sentence} (${code})`) };
}

interface Cause {
  readonly code: string;
  readonly text: string;
}

/** got wraps errors; the innermost one has Node's code. */
function causeOf(error: unknown): Cause | undefined {
  if (!(error instanceof Error)) {
    return undefined;
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (classOf(code) !== undefined) {
    return { code, text: error.message };
  }
  return causeOf(error.cause) ?? (/^[A-Z][A-Z0-9_]+$/.test(code) ? { code, text: error.message } : undefined);
}

function classOf(code: string): AttemptError | undefined {
  return BY_CODE[code] ?? BY_PREFIX.find(([prefix]) => code.startsWith(prefix))?.[1];
}
