import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { Got, Request } from 'got';
import { type AttemptError, type AttemptOutcome, errorOfStatus, type ExchangeOutcome } from '../core/delivery.ts';
import type { OutgoingRequest } from '../core/outgoing-request.ts';
import { INLINE_PAYLOAD_BYTES_MAX } from '../storage/statements.ts';
import type { EgressAgents } from './egress.ts';

/** The part of a response that is kept. */
const RESPONSE_KEPT_BYTES = 8 * 1024;
/** A response is read that far, so that its connection can be used again; a longer one costs the connection. */
const RESPONSE_READ_BYTES_MAX = 64 * 1024;
/** A body goes out in copied pieces of this size: the memory that it lies in is lent, and lent again afterwards. */
const PIECE_BYTES = 256 * 1024;
/** Bodies up to here have memory of their own; see `INLINE_PAYLOAD_BYTES_MAX`. */
const OWN_BYTES_MAX = INLINE_PAYLOAD_BYTES_MAX;
/** Interim answers, such as 103 Early Hints, before the final one. */
const INTERIM_ANSWERS_MAX = 100;

export type Answer = Omit<ExchangeOutcome, 'startedAt' | 'durationMs'>;

/**
 * One request and what comes back. A connection that rested may have been closed by the other side in the moment of
 * its use: where not one byte came back on it, the request is sent once more, on a connection of its own.
 */
export class Exchange {
  /** Resolves at the end of the response, or at the limit of what is read of it; `undefined` when it was broken off. */
  readonly ended: Promise<Answer | undefined>;
  readonly #settle: (answer: Answer | undefined) => void;
  readonly #request: OutgoingRequest;
  readonly #got: Got;
  readonly #agents: EgressAgents;
  #stream: Request | undefined;
  #isSecondTry = false;
  #isWritten = false;
  #isOver = false;
  #statusCode: number | null = null;
  #retryAfter: string | null = null;
  #interimAnswers = 0;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(request: OutgoingRequest, { got, agents }: { got: Got; agents: EgressAgents }) {
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    this.ended = promise;
    this.#settle = resolve;
    this.#request = request;
    this.#got = got;
    this.#agents = agents;
    this.#start();
  }

  expire(): void {
    this.#end('TIMEOUT');
  }

  breakOff(): void {
    if (this.#statusCode === null && !this.#isOver) {
      this.#isOver = true;
      this.#settle(undefined);
    }
    this.#end('UNKNOWN');
  }

  #start(): void {
    try {
      this.#stream = this.#open();
    } catch (error) {
      this.#end(attemptErrorOf(error));
    }
  }

  #open(): Request {
    const { url, method, body } = this.#request;
    const stream = this.#got.stream(url, { method, request: () => this.#toNode() });
    stream.on('response', (response: http.IncomingMessage) => this.#onResponse(response));
    stream.on('information', ({ statusCode }: http.InformationEvent) => this.#onInterim(statusCode));
    stream.on('upgrade', (response: http.IncomingMessage, socket: Duplex) => this.#onUpgrade(response, socket));
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error) => this.#onEnd(stream, error));
    stream.once('end', () => this.#onEnd(stream));
    stream.once('close', () => this.#onEnd(stream));
    // Written and not given as an option: of an option got makes a copy for every request.
    if (body === undefined) {
      this.#isWritten = true;
    } else if (body.length <= OWN_BYTES_MAX) {
      this.#isWritten = true;
      stream.end(body);
    } else {
      this.#isWritten = false;
      this.#writePiece(stream, body);
    }
    return stream;
  }

  /** Never after the end of the exchange: the memory may hold the payload of somebody else by then. */
  #writePiece(stream: Request, rest: Buffer): void {
    const piece = Buffer.from(rest.subarray(0, PIECE_BYTES));
    if (rest.length <= PIECE_BYTES) {
      this.#isWritten = true;
      stream.end(piece);
      return;
    }
    stream.write(piece, (error) => {
      if (!error && !this.#isOver) {
        this.#writePiece(stream, rest.subarray(PIECE_BYTES));
      }
    });
  }

  /** Of what got would pass on nothing is needed; it lower-cases header names and merges repeated ones, besides. */
  #toNode(): http.ClientRequest {
    const { url, method, headerLines } = this.#request;
    const isHttps = url.protocol === 'https:';
    const agents = this.#isSecondTry ? this.#agents.fresh : this.#agents.kept;
    const request = (isHttps ? https : http).request({
      protocol: url.protocol,
      hostname: url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname,
      port: url.port === '' ? undefined : Number(url.port),
      path: url.pathname + url.search,
      method,
      headers: headerLines,
      agent: isHttps ? agents.https : agents.http,
    });
    // Node can tell of a second error when got listens no more; without a listener it would end the thread.
    return request.on('error', () => undefined);
  }

  #onResponse({ statusCode, headers }: http.IncomingMessage): void {
    this.#statusCode = statusCode ?? null;
    this.#retryAfter = headers['retry-after'] ?? null;
  }

  #onInterim(statusCode: number): void {
    this.#interimAnswers += 1;
    if (this.#interimAnswers > INTERIM_ANSWERS_MAX && !this.#isOver) {
      this.#statusCode = statusCode;
      this.#end();
    }
  }

  /** Nobody has asked for another protocol, and what follows is no HTTP. */
  #onUpgrade(response: http.IncomingMessage, socket: Duplex): void {
    socket.on('error', () => undefined).destroy();
    this.#onResponse(response);
    this.#end();
  }

  #onData(chunk: Buffer): void {
    if (this.#length < RESPONSE_KEPT_BYTES) {
      this.#chunks.push(chunk);
    }
    this.#length += chunk.length;
    if (this.#length > RESPONSE_READ_BYTES_MAX) {
      this.#end();
    }
  }

  #onEnd(stream: Request, error?: unknown): void {
    if (stream !== this.#stream || this.#isOver) {
      return;
    }
    const failure = attemptErrorOf(error);
    if (failure === 'CONNECTION_RESET' && this.#wasClosedBefore(stream)) {
      this.#isSecondTry = true;
      this.#start();
      return;
    }
    this.#finish(failure);
    // Who answers before the whole body is there gets no more of it.
    if (!this.#isWritten) {
      stream.destroy();
    }
  }

  #wasClosedBefore({ reusedSocket, socket }: Request): boolean {
    return (
      !this.#isSecondTry &&
      this.#statusCode === null &&
      reusedSocket === true &&
      socket !== undefined &&
      this.#agents.hasBroughtNothing(socket)
    );
  }

  /** Before the end of the response, so that the connection cannot be used again. */
  #end(failure: AttemptError = 'UNKNOWN'): void {
    this.#finish(failure);
    this.#stream?.destroy();
  }

  #finish(failure: AttemptError): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    // The status decides: a response that never ends, or breaks off, was an answer all the same.
    const statusCode = this.#statusCode;
    this.#settle({
      statusCode,
      error: statusCode === null ? failure : errorOfStatus(statusCode),
      responseBody: statusCode === null ? null : this.#kept(),
      retryAfter: this.#retryAfter,
    });
    this.#chunks = [];
  }

  #kept(): AttemptOutcome['responseBody'] {
    const kept = Buffer.concat(this.#chunks).subarray(0, RESPONSE_KEPT_BYTES);
    // Copied, so that 8 KiB do not keep alive the larger buffer they are cut from.
    return this.#length > RESPONSE_KEPT_BYTES ? Buffer.from(kept) : kept;
  }
}

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
