import { createRequire } from 'node:module';
import { type DestinationStream, type Logger, pino } from 'pino';
import type pretty from 'pino-pretty';
import type { AttemptOutcome, DeliveryState } from '../core/delivery.ts';

export type Log = Logger;

export interface LogOptions {
  readonly level: string;
  /** Readable lines for a terminal; one JSON object a line otherwise. */
  readonly readable: boolean;
}

/** Writes to standard error: standard output belongs to what the program says to the person who started it. */
export function createLog({ level, readable }: LogOptions): Log {
  const destination: DestinationStream = readable
    ? loadPretty()({ destination: 2, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', singleLine: true })
    : pino.destination({ dest: 2, sync: false });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

/** Only where a person looks on: a service need not keep it in memory. */
function loadPretty(): typeof pretty {
  return createRequire(import.meta.url)('pino-pretty') as typeof pretty;
}

/** A service that is down fails every request; each part of the program says so once in that time. */
const FAILURE_QUIET_MS = 10_000;

/**
 * One log line for each business fact, made here and nowhere else. A failing destination is data: its line is
 * information. ERROR means that somebody has to act. Tokens, payloads, header values and URLs (which may
 * carry secrets) have no place in any of them.
 */
export class Telemetry {
  readonly #log: Log;
  readonly #failures = new Map<string, { saidAt: number; suppressed: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  eventAccepted(fact: { eventId: string; deliveries: number }): void {
    this.#log.debug(fact, 'event accepted');
  }

  attemptMade(
    delivery: { deliveryId: string; destinationId: string; attempt: number },
    outcome: AttemptOutcome,
    state: DeliveryState,
  ): void {
    const level = outcome.error === null ? 'debug' : 'info';
    this.#log[level](
      {
        deliveryId: delivery.deliveryId,
        destinationId: delivery.destinationId,
        attempt: delivery.attempt,
        statusCode: outcome.statusCode,
        error: outcome.error,
        durationMs: outcome.durationMs,
        status: state.status,
        retryInMs: state.retryInMs,
      },
      outcome.error === null ? 'delivery succeeded' : 'delivery attempt failed',
    );
  }

  /** It has answered 410, and is called no more until its owner enables it again. */
  destinationGone({ destinationId }: { destinationId: string }): void {
    this.#log.info({ destinationId }, 'destination gone');
  }

  /** Nothing is left of an account or a destination that was deleted. */
  remainsRemoved(fact: { kind: string; id: string }): void {
    this.#log.info(fact, 'remains removed');
  }

  /** The store does not answer or cannot write: deliveries stand still, and events are refused. */
  storageFailed(during: string, error: unknown): void {
    this.#once(`storage ${during}`, (suppressed) =>
      this.#log.error({ during, err: error, suppressed }, 'storage failed'),
    );
  }

  /** A fault of the program, or not enough memory; the thread is replaced. */
  senderThreadDied(fact: { brokenOff: number }, error: unknown): void {
    this.#log.error({ ...fact, err: error }, 'sender thread died');
  }

  queueConnected(fact: { use: string }): void {
    this.#log.info(fact, 'queue connected');
  }

  /** Deliveries go on without the broker, by way of the database. */
  queueUnavailable({ use, reason }: { use: string; reason: string }): void {
    this.#once(`queue ${use}`, (suppressed) => this.#log.warn({ use, reason, suppressed }, 'queue unavailable'));
  }

  ticketsNotPublished({ tickets, reason }: { tickets: number; reason: string }): void {
    this.#once(`tickets ${reason}`, (suppressed) =>
      this.#log.warn({ tickets, reason, suppressed }, 'tickets go by the database'),
    );
  }

  queueMessageDropped({ reason }: { reason: string }): void {
    this.#once(`message ${reason}`, (suppressed) => this.#log.warn({ reason, suppressed }, 'queue message dropped'));
  }

  /** A fault of the program; `where` names the edge that caught it. */
  unexpectedError(where: string, error: unknown): void {
    this.#log.error({ where, err: error }, 'unexpected error');
  }

  started(fact: { url: string }): void {
    this.#log.info(fact, 'started');
  }

  stopped(fact: { unfinished: number }): void {
    this.#log.info(fact, 'stopped');
  }

  #once(failure: string, say: (suppressed: number) => void): void {
    const now = performance.now();
    const last = this.#failures.get(failure);
    if (last !== undefined && now - last.saidAt < FAILURE_QUIET_MS) {
      last.suppressed += 1;
      return;
    }
    this.#failures.set(failure, { saidAt: now, suppressed: 0 });
    say(last?.suppressed ?? 0);
  }
}
