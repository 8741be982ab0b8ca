import type { LookupFunction } from 'node:net';
import got, { type Got } from 'got';
import { LRUCache } from 'lru-cache';
import { type ExchangeOutcome, outcomeUnsent } from '../core/delivery.ts';
import {
  buildRequest,
  type MessageSource,
  type OutgoingRequest,
  type RequestSource,
  type Target,
  targetOf,
} from '../core/outgoing-request.ts';
import { attemptFailureOf } from './attempt-errors.ts';
import { Deadlines } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import { type Egress, EgressAgents } from './egress.ts';

/** Builds requests and sends them. It never rejects: a failure is an outcome. */
export interface Sender {
  /**
   * @param sentAt the request's timestamp, in milliseconds since the Unix epoch
   * @param timeoutMs for the whole exchange, including the connection; the sender's own unless given
   * @returns `undefined` when the request was aborted because the sender was closed
   */
  send(source: RequestSource, sentAt: number, timeoutMs?: number): Promise<ExchangeOutcome | undefined>;
  /** Aborts the requests under way, at the latest within a second. */
  close(): void;
}

/** Less than the 5 s after which Node's own servers close an idle connection, so that no request meets that. */
const IDLE_CONNECTION_MS = 4_000;
/** Building a request with a payload of this size takes noticeable time. */
const LONG_BUILD_BYTES_MIN = 16 * 1024;
/** Each has at most 8 KiB of URL and 8 KiB of headers, and usually far less. */
const TARGETS_MAX = 512;

interface SenderOptions {
  readonly userAgent: string;
  /** For the whole exchange, including the connection, unless a request has a timeout of its own. */
  readonly timeoutMs: number;
  readonly egress: Egress;
  /** Resolves names instead of the name servers. */
  readonly lookup?: LookupFunction | undefined;
}

interface CachedTarget {
  readonly version: number;
  readonly target: Target;
}

/**
 * Sends with got, without the conveniences that are dangerous here: got would follow redirects and send secret headers
 * along, decompress bombs, retry by itself, and keep whole responses in memory.
 */
export class HttpSender implements Sender {
  readonly #userAgent: string;
  readonly #got: Got;
  readonly #agents: EgressAgents;
  readonly #timeoutMs: number;
  readonly #exchanges = new Deadlines<Exchange>();
  readonly #longBuilds = new OncePerTurn();
  readonly #targets = new LRUCache<string, CachedTarget>({ max: TARGETS_MAX });
  #closed = false;

  constructor({ userAgent, timeoutMs, egress, lookup }: SenderOptions) {
    this.#userAgent = userAgent;
    this.#agents = new EgressAgents({ egress, lookup, idleMs: IDLE_CONNECTION_MS, connectTimeoutMs: timeoutMs });
    this.#timeoutMs = timeoutMs;
    // got's timeouts are off too: per request they cost more than Node's whole client.
    this.#got = got.extend({
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
    });
  }

  send(source: RequestSource, sentAt: number, timeoutMs?: number): Promise<ExchangeOutcome | undefined> {
    return this.sendTo(this.#targetOf(source), source, { sentAt, timeoutMs });
  }

  /** The same for a target that the caller caches. */
  async sendTo(
    target: Target,
    message: MessageSource,
    { sentAt, timeoutMs = this.#timeoutMs }: { sentAt: number; timeoutMs: number | undefined },
  ): Promise<ExchangeOutcome | undefined> {
    if (message.payload.length >= LONG_BUILD_BYTES_MIN) {
      await this.#longBuilds.next();
    }
    if (this.#closed) {
      return undefined;
    }
    const started = performance.now();
    let request: OutgoingRequest;
    try {
      request = buildRequest(target, message, sentAt);
    } catch (error) {
      const failure = attemptFailureOf(error, 'INVALID_REQUEST');
      return outcomeUnsent(sentAt, failure.error, failure.message);
    }
    const exchange = new Exchange(request, { got: this.#got, agents: this.#agents });
    this.#exchanges.add(exchange, timeoutMs);
    const answer = await exchange.ended;
    this.#exchanges.delete(exchange);
    return answer && { startedAt: sentAt, durationMs: Math.round(performance.now() - started), ...answer };
  }

  close(): void {
    this.#closed = true;
    for (const exchange of this.#exchanges.entries()) {
      exchange.abort();
    }
    this.#agents.destroy();
  }

  #targetOf(source: RequestSource): Target {
    const cached = this.#targets.get(source.destinationId);
    if (cached?.version === source.destinationVersion) {
      return cached.target;
    }
    const target = targetOf(source, this.#userAgent);
    this.#targets.set(source.destinationId, { version: source.destinationVersion, target });
    return target;
  }
}

/** Starts one long piece of work in each turn of the event loop, so that other work comes in between. */
class OncePerTurn {
  readonly #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) {
        setImmediate(() => this.#startNext());
      }
    });
  }

  #startNext(): void {
    this.#waiting[0]?.();
    this.#waiting.shift();
    if (this.#waiting.length > 0) {
      setImmediate(() => this.#startNext());
    }
  }
}
