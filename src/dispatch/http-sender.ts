import type { LookupFunction } from 'node:net';
import got, { type Got } from 'got';
import type { AttemptError, ExchangeOutcome } from '../core/delivery.ts';
import {
  buildRequest,
  type MessageSource,
  type OutgoingRequest,
  type RequestSource,
  type Target,
  targetOf,
} from '../core/outgoing-request.ts';
import { RecentMap } from '../core/recent-map.ts';
import { attemptErrorOf } from './attempt-error.ts';
import { type Egress, EgressAgents } from './egress-agents.ts';
import { Exchange } from './exchange.ts';
import type { Sender } from './sender.ts';
import { Deadlines } from './sender-deadlines.ts';
import { Turns } from './turns.ts';

/** Below the 5 s after which Node's own servers close an idle connection: never send into a closing one. */
const IDLE_CONNECTION_MS = 4_000;
/** From that size of a payload on, to build the request is long work. */
const LONG_BUILD_BYTES_MIN = 16 * 1024;
/** Each has 8 KiB of URL and 8 KiB of headers at most, and mostly far less. */
const TARGETS_MAX = 512;

interface SenderOptions {
  readonly userAgent: string;
  /** For the whole exchange, connecting included. */
  readonly timeoutMs: number;
  readonly egress: Egress;
  /** How names are resolved, in the place of the system's name servers. */
  readonly lookup?: LookupFunction | undefined;
}

interface KnownTarget {
  readonly version: number;
  readonly target: Target;
}

/**
 * got, with every convenience off that would be a danger here: it would follow redirects and send secret
 * headers along, inflate compressed bombs, retry by itself, and hold a whole response in memory.
 */
export class HttpSender implements Sender {
  readonly #userAgent: string;
  readonly #got: Got;
  readonly #agents: EgressAgents;
  readonly #exchanges: Deadlines<Exchange>;
  readonly #longBuilds = new Turns();
  readonly #targets = new RecentMap<string, KnownTarget>(TARGETS_MAX);
  #closed = false;

  constructor({ userAgent, timeoutMs, egress, lookup }: SenderOptions) {
    this.#userAgent = userAgent;
    this.#agents = new EgressAgents({ egress, lookup, idleMs: IDLE_CONNECTION_MS, connectTimeoutMs: timeoutMs });
    this.#exchanges = new Deadlines(timeoutMs);
    // Its time-outs are off too: for each request they cost more than Node's whole client.
    this.#got = got.extend({
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
    });
  }

  send(source: RequestSource, sentAt: number): Promise<ExchangeOutcome | undefined> {
    return this.sendTo(this.#targetOf(source), source, sentAt);
  }

  /** The same to a target that the caller keeps. */
  async sendTo(target: Target, message: MessageSource, sentAt: number): Promise<ExchangeOutcome | undefined> {
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
      return unsent(sentAt, attemptErrorOf(error, 'INVALID_REQUEST'));
    }
    const exchange = new Exchange(request, { got: this.#got, agents: this.#agents });
    this.#exchanges.add(exchange);
    const answer = await exchange.ended;
    this.#exchanges.delete(exchange);
    return answer && { startedAt: sentAt, durationMs: Math.round(performance.now() - started), ...answer };
  }

  close(): void {
    this.#closed = true;
    for (const exchange of this.#exchanges.entries()) {
      exchange.breakOff();
    }
    this.#agents.destroy();
  }

  #targetOf(source: RequestSource): Target {
    const known = this.#targets.get(source.destinationId);
    if (known?.version === source.destinationVersion) {
      return known.target;
    }
    const target = targetOf(source, this.#userAgent);
    this.#targets.set(source.destinationId, { version: source.destinationVersion, target });
    return target;
  }
}

function unsent(startedAt: number, error: AttemptError): ExchangeOutcome {
  return { startedAt, durationMs: 0, statusCode: null, error, responseBody: null, retryAfter: null };
}
