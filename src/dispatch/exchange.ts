import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { Got, Request } from 'got';
import { type AttemptOutcome, errorOfStatus, type ExchangeOutcome } from '../core/delivery.ts';
import type { OutgoingRequest } from '../core/outgoing-request.ts';
import { INLINE_PAYLOAD_BYTES_MAX } from '../storage/statements.ts';
import { type AttemptFailure, attemptFailureOf } from './attempt-errors.ts';
import type { EgressAgents } from './egress.ts';

/** The part of a response body that is stored. */
const RESPONSE_KEPT_BYTES = 8 * 1024;
/** A response is read to the end so that its connection can be reused. A longer one costs the connection. */
const RESPONSE_READ_BYTES_MAX = 64 * 1024;
/** A large body is sent in copied chunks of this size, because its memory is lent and will be reused. */
const CHUNK_BYTES = 256 * 1024;
/** Bodies up to this size have memory of their own. */
const OWN_BYTES_MAX = INLINE_PAYLOAD_BYTES_MAX;
/** Interim responses (103 Early Hints, for example) before the final one. */
const INTERIM_RESPONSES_MAX = 100;

const EXPIRED: AttemptFailure = { error: 'TIMEOUT', message: 'There was no response in time.' };
const NO_REASON: AttemptFailure = { error: 'UNKNOWN', message: null };

type ExchangeResult = Omit<ExchangeOutcome, 'startedAt' | 'durationMs'>;

/**
 * One request and its response. The other side may close an idle connection at the moment of its reuse. If no byte
 * was received on it, the request is sent once more, on a new connection.
 */
export class Exchange {
  /** Resolves when the response has ended or was read up to the limit; to `undefined` when it was aborted. */
  readonly ended: Promise<ExchangeResult | undefined>;
  readonly #settle: (result: ExchangeResult | undefined) => void;
  readonly #request: OutgoingRequest;
  readonly #got: Got;
  readonly #agents: EgressAgents;
  #stream: Request | undefined;
  #isResent = false;
  #isWritten = false;
  #isOver = false;
  #statusCode: number | null = null;
  #retryAfter: string | null = null;
  #interimResponses = 0;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(request: OutgoingRequest, { got, agents }: { got: Got; agents: EgressAgents }) {
    const { promise, resolve } = Promise.withResolvers<ExchangeResult | undefined>();
    this.ended = promise;
    this.#settle = resolve;
    this.#request = request;
    this.#got = got;
    this.#agents = agents;
    this.#start();
  }

  expire(): void {
    this.#end(EXPIRED);
  }

  /** Without a response there is no outcome. */
  abort(): void {
    if (this.#statusCode === null && !this.#isOver) {
      this.#isOver = true;
      this.#settle(undefined);
    }
    this.#end();
  }

  #start(): void {
    try {
      this.#stream = this.#open();
    } catch (error) {
      this.#end(attemptFailureOf(error));
    }
  }

  #open(): Request {
    const { url, method, body } = this.#request;
    const stream = this.#got.stream(url, { method, request: () => this.#nodeRequest() });
    stream.on('response', (response: http.IncomingMessage) => this.#onResponse(response));
    stream.on('information', ({ statusCode }: http.InformationEvent) => this.#onInterim(statusCode));
    stream.on('upgrade', (response: http.IncomingMessage, socket: Duplex) => this.#onUpgrade(response, socket));
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error) => this.#onEnd(stream, error));
    stream.once('end', () => this.#onEnd(stream));
    stream.once('close', () => this.#onEnd(stream));
    // Written, because got copies a body that is given as an option.
    if (body === undefined) {
      this.#isWritten = true;
    } else if (body.length <= OWN_BYTES_MAX) {
      this.#isWritten = true;
      stream.end(body);
    } else {
      this.#isWritten = false;
      this.#writeChunk(stream, body);
    }
    return stream;
  }

  /** Stops when the exchange is over: the memory may hold another payload by then. */
  #writeChunk(stream: Request, rest: Buffer): void {
    const chunk = Buffer.from(rest.subarray(0, CHUNK_BYTES));
    if (rest.length <= CHUNK_BYTES) {
      this.#isWritten = true;
      stream.end(chunk);
      return;
    }
    stream.write(chunk, (error) => {
      if (!error && !this.#isOver) {
        this.#writeChunk(stream, rest.subarray(CHUNK_BYTES));
      }
    });
  }

  /** Bypasses got's request options, because got changes header names to lower case and merges repeated headers. */
  #nodeRequest(): http.ClientRequest {
    const { url, method, headerLines } = this.#request;
    const isHttps = url.protocol === 'https:';
    const agents = this.#isResent ? this.#agents.fresh : this.#agents.keepAlive;
    const request = (isHttps ? https : http).request({
      protocol: url.protocol,
      hostname: url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname,
      port: url.port === '' ? undefined : Number(url.port),
      path: url.pathname + url.search,
      method,
      headers: headerLines,
      agent: isHttps ? agents.https : agents.http,
    });
    // Node may emit a second error when got no longer listens. Without a listener it would end the thread.
    return request.on('error', () => undefined);
  }

  #onResponse({ statusCode, headers }: http.IncomingMessage): void {
    this.#statusCode = statusCode ?? null;
    this.#retryAfter = headers['retry-after'] ?? null;
  }

  #onInterim(statusCode: number): void {
    this.#interimResponses += 1;
    if (this.#interimResponses > INTERIM_RESPONSES_MAX && !this.#isOver) {
      this.#statusCode = statusCode;
      this.#end();
    }
  }

  /** We never ask for an upgrade, and the bytes that follow are not HTTP. */
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
    const failure = attemptFailureOf(error);
    if (failure.error === 'CONNECTION_RESET' && this.#wasClosedWhileIdle(stream)) {
      this.#isResent = true;
      this.#start();
      return;
    }
    this.#finish(failure);
    // A destination that responds before it has the whole body gets no more of it.
    if (!this.#isWritten) {
      stream.destroy();
    }
  }

  #wasClosedWhileIdle({ reusedSocket, socket }: Request): boolean {
    return (
      !this.#isResent &&
      this.#statusCode === null &&
      reusedSocket === true &&
      socket !== undefined &&
      this.#agents.hasReceivedNothing(socket)
    );
  }

  /** Ends the exchange before the response has ended, so the connection cannot be reused. */
  #end(failure: AttemptFailure = NO_REASON): void {
    this.#finish(failure);
    this.#stream?.destroy();
  }

  #finish({ error, message }: AttemptFailure): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    // The status decides, even if the response never ends or is cut off.
    const statusCode = this.#statusCode;
    this.#settle({
      statusCode,
      error: statusCode === null ? error : errorOfStatus(statusCode),
      message: statusCode === null ? message : null,
      responseBody: statusCode === null ? null : this.#keptBody(),
      retryAfter: this.#retryAfter,
    });
    this.#chunks = [];
  }

  #keptBody(): AttemptOutcome['responseBody'] {
    const kept = Buffer.concat(this.#chunks).subarray(0, RESPONSE_KEPT_BYTES);
    // Copied, because 8 KiB would keep the larger buffer behind them in memory.
    return this.#length > RESPONSE_KEPT_BYTES ? Buffer.from(kept) : kept;
  }
}
