import { createRequire } from 'node:module';
import { type DestinationStream, type Logger, pino } from 'pino';
import type pretty from 'pino-pretty';
import type { AttemptOutcome, DeliveryState } from '../core/delivery.ts';

export type Log = Logger;

interface LogOptions {
  readonly level: string;
  /** True for readable lines, false for one JSON object a line. */
  readonly readable: boolean;
}

/** Logs go to standard error. Standard output is for the messages of commands. */
export function createLog({ level, readable }: LogOptions): Log {
  const destination: DestinationStream = readable
    ? loadPretty()({ destination: 2, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', singleLine: true })
    : pino.destination({ dest: 2, sync: false });
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

/** Loaded on a terminal only: a service need not hold it in memory. */
function loadPretty(): typeof pretty {
  return createRequire(import.meta.url)('pino-pretty') as typeof pretty;
}

/** A service that is down fails every request. Each part of the program logs the failure once in this time. */
const FAILURE_QUIET_MS = 10_000;

/**
 * Writes all log lines, one for each business event. A failing destination is normal and logged as INFO. ERROR means that
 * somebody has to act. No line contains tokens, payloads, header values or URLs, which may contain secrets.
 */
export class Telemetry {
  readonly #log: Log;
  readonly #failures = new Map<string, { loggedAt: number; suppressed: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  eventAccepted(fact: { eventId: string; deliveries: number }): void {
    this.#log.debug(fact, 'event accepted');
  }

  /** One line, however many events there are. `eventId` is that of the first. */
  batchAccepted(fact: { eventId: string | undefined; events: number; deliveries: number }): void {
    this.#log.debug(fact, 'batch accepted');
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

  /** The destination has answered 410 Gone. It is not called until its owner enables it again. */
  destinationGone({ destinationId }: { destinationId: string }): void {
    this.#log.info({ destinationId }, 'destination gone');
  }

  /** All rows of a deleted account or destination are removed. */
  deletionFinished(fact: { kind: string; id: string }): void {
    this.#log.info(fact, 'deletion finished');
  }

  /** The store does not answer or cannot write. Deliveries stop, and events are refused. */
  storageFailed(during: string, error: unknown): void {
    this.#logLimited(`storage ${during}`, (suppressed) =>
      this.#log.error({ during, err: error, suppressed }, 'storage failed'),
    );
  }

  /** A bug, or not enough memory. The thread is replaced. */
  senderThreadDied(fact: { brokenOff: number }, error: unknown): void {
    this.#log.error({ ...fact, err: error }, 'sender thread died');
  }

  /** An expression was over its bounds, and its process with it. */
  transformationEnded(fact: { accountId: string; destinationId: string; reason: string }): void {
    this.#log.info(fact, 'transformation ended');
  }

  queueConnected(fact: { use: string }): void {
    this.#log.info(fact, 'queue connected');
  }

  /** Deliveries continue through the database. */
  queueUnavailable({ use, reason }: { use: string; reason: string }): void {
    this.#logLimited(`queue ${use}`, (suppressed) => this.#log.warn({ use, reason, suppressed }, 'queue unavailable'));
  }

  ticketsNotPublished({ tickets, reason }: { tickets: number; reason: string }): void {
    this.#logLimited(`tickets ${reason}`, (suppressed) =>
      this.#log.warn({ tickets, reason, suppressed }, 'tickets go by the database'),
    );
  }

  queueMessageDropped({ reason }: { reason: string }): void {
    this.#logLimited(`message ${reason}`, (suppressed) =>
      this.#log.warn({ reason, suppressed }, 'queue message dropped'),
    );
  }

  /** A bug. `where` names the part that caught it. */
  unexpectedError(where: string, error: unknown): void {
    this.#log.error({ where, err: error }, 'unexpected error');
  }

  started(fact: { url: string }): void {
    this.#log.info(fact, 'started');
  }

  stopped(fact: { unfinished: number }): void {
    this.#log.info(fact, 'stopped');
  }

  #logLimited(failure: string, log: (suppressed: number) => void): void {
    const now = performance.now();
    const last = this.#failures.get(failure);
    if (last !== undefined && now - last.loggedAt < FAILURE_QUIET_MS) {
      last.suppressed += 1;
      return;
    }
    this.#failures.set(failure, { loggedAt: now, suppressed: 0 });
    log(last?.suppressed ?? 0);
  }
}
