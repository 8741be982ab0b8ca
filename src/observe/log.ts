import { createRequire } from 'node:module';
import { type DestinationStream, type Logger, pino } from 'pino';
import type pretty from 'pino-pretty';

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
