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
import { attemptErrorOf, Exchange } from './exchange.ts';
import { type Egress, EgressAgents } from './egress.ts';

/** Builds requests and sends them. Whatever becomes of one is an outcome; it never rejects. */
export interface Sender {
  /**
   * @param sentAt what the request is stamped with, in milliseconds since the Unix epoch
   * @returns `undefined` when the request was broken off: the sender was closed before it had come to an end.
   */
  send(source: RequestSource, sentAt: number): Promise<ExchangeOutcome | undefined>;
  /** Breaks off what is under way, within a second whatever happens. */
  close(): void;
}

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
  readonly #longBuilds = new TurnByTurn();
  readonly #targets = new LRUCache<string, KnownTarget>({ max: TARGETS_MAX });
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
      return outcomeUnsent(sentAt, attemptErrorOf(error, 'INVALID_REQUEST'));
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

export interface Expiring {
  expire(): void;
}

/**
 * One timer for everything that has the same time: what was added first is due first. The timer runs for the oldest
 * only, so that adding and removing cost no more than a Set does.
 */
export class Deadlines<Entry extends Expiring> {
  readonly #timeoutMs: number;
  readonly #dueAt = new Map<Entry, number>();
  #isTimed = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  entries(): Entry[] {
    return [...this.#dueAt.keys()];
  }

  add(entry: Entry): void {
    this.#dueAt.set(entry, performance.now() + this.#timeoutMs);
    if (!this.#isTimed) {
      this.#wakeIn(this.#timeoutMs);
    }
  }

  delete(entry: Entry): void {
    this.#dueAt.delete(entry);
  }

  #wakeIn(waitMs: number): void {
    this.#isTimed = true;
    setTimeout(() => this.#expireDue(), Math.ceil(waitMs)).unref();
  }

  #expireDue(): void {
    this.#isTimed = false;
    const now = performance.now();
    for (const [entry, dueAt] of this.#dueAt) {
      if (dueAt > now) {
        this.#wakeIn(dueAt - now);
        return;
      }
      this.#dueAt.delete(entry);
      entry.expire();
    }
  }
}

/** Lets those who have long work to do in, one in each round of the event loop, so that others come in between. */
export class TurnByTurn {
  readonly #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) {
        setImmediate(() => this.#admit());
      }
    });
  }

  #admit(): void {
    this.#waiting[0]?.();
    this.#waiting.shift();
    if (this.#waiting.length > 0) {
      setImmediate(() => this.#admit());
    }
  }
}
