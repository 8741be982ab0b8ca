import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import got, { type Got, type Request } from 'got';
import type { Clock } from '../core/clock.ts';
import { type AttemptError, errorOfStatus, type ExchangeOutcome } from '../core/delivery.ts';
import type { OutgoingRequest } from '../core/outgoing-request.ts';
import { attemptErrorOf } from './attempt-error.ts';
import { type Egress, EgressAgents } from './egress-agents.ts';
import type { Sender } from './sender.ts';

/** The part of a response that is kept. */
const RESPONSE_KEPT_BYTES = 8 * 1024;
/** A response is read that far, so that its connection can be used again; a longer one costs the connection. */
const RESPONSE_READ_BYTES_MAX = 64 * 1024;
/** Below the 5 s after which Node's own servers close an idle connection: never send into a closing one. */
const IDLE_CONNECTION_MS = 4_000;

interface SenderOptions {
  readonly clock: Clock;
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number;
  readonly egress: Egress;
  /** How names are resolved, in the place of the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
}

/**
 * got, with every convenience off that would be a danger here: it would follow redirects and send secret
 * headers along, inflate compressed bombs, retry by itself, and hold a whole response in memory.
 */
export class HttpSender implements Sender {
  readonly #clock: Clock;
  readonly #got: Got;
  readonly #agents: EgressAgents;
  readonly #underWay = new Set<Request>();
  #closed = false;

  constructor({ clock, timeoutMs, egress, lookup }: SenderOptions) {
    this.#clock = clock;
    this.#agents = new EgressAgents({ egress, lookup, idleMs: IDLE_CONNECTION_MS, connectTimeoutMs: timeoutMs });
    this.#got = got.extend({
      agent: { http: this.#agents.http, https: this.#agents.https },
      timeout: { request: timeoutMs },
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
    });
  }

  async send(request: OutgoingRequest): Promise<ExchangeOutcome | undefined> {
    const startedAt = this.#clock.now();
    const started = performance.now();
    const exchange = this.#open(request);
    this.#underWay.add(exchange);
    const { statusCode, retryAfter, failure, body } = await readExchange(exchange);
    this.#underWay.delete(exchange);
    if (this.#closed && statusCode === null) {
      return undefined;
    }
    return {
      startedAt,
      durationMs: Math.round(performance.now() - started),
      statusCode,
      // The status decides: a response that never ends, or breaks off, was an answer all the same.
      error: statusCode === null ? failure : errorOfStatus(statusCode),
      responseBody: statusCode === null ? null : body,
      retryAfter,
    };
  }

  close(): void {
    this.#closed = true;
    for (const exchange of this.#underWay) {
      exchange.destroy(new Error('The sender was closed.'));
    }
    this.#agents.destroy();
  }

  #open({ url, method, headerLines, body }: OutgoingRequest): Request {
    return this.#got.stream(url, {
      method,
      ...(body && { body }),
      // got lower-cases header names and merges repeated ones; the list given to Node goes out as it is.
      request: (target, options, callback) => {
        const { request } = target.protocol === 'https:' ? https : http;
        const length = body === undefined ? [] : ['Content-Length', body.length.toString()];
        return request(
          target,
          { ...options, headers: ['Host', target.host, ...headerLines, ...length] } as object,
          callback,
        );
      },
    });
  }
}

interface Exchanged {
  readonly statusCode: number | null;
  readonly retryAfter: string | null;
  readonly failure: AttemptError;
  readonly body: Buffer;
}

/** Resolves at the end of the response, at the limit of what is read of it, or when the exchange breaks off. */
function readExchange(exchange: Request): Promise<Exchanged> {
  return new Promise((resolve) => {
    let statusCode: number | null = null;
    let retryAfter: string | null = null;
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (error?: unknown): void => {
      const kept = Buffer.concat(chunks).subarray(0, RESPONSE_KEPT_BYTES);
      // Copied, so that 8 KiB do not keep alive the larger buffer they are cut from.
      resolve({
        statusCode,
        retryAfter,
        failure: attemptErrorOf(error),
        body: length > RESPONSE_KEPT_BYTES ? Buffer.from(kept) : kept,
      });
    };
    exchange.on('response', (response: http.IncomingMessage) => {
      statusCode = response.statusCode ?? null;
      retryAfter = response.headers['retry-after'] ?? null;
    });
    exchange.on('data', (chunk: Buffer) => {
      if (length < RESPONSE_KEPT_BYTES) {
        chunks.push(chunk);
      }
      length += chunk.length;
      if (length > RESPONSE_READ_BYTES_MAX) {
        finish();
        exchange.destroy();
      }
    });
    exchange.on('error', finish);
    exchange.once('end', () => finish());
    exchange.once('close', () => finish());
  });
}
