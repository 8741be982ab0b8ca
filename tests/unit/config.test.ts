import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../src/config.ts';

describe('parseConfig', () => {
  test('has the defaults that the README tells', () => {
    expect(parseConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4000,
      database: { type: 'sqlite', path: './data/data-pusher.db' },
      queueUrl: undefined,
      queueName: 'data-pusher.deliveries',
      roles: ['api', 'worker'],
      logLevel: 'info',
      ingest: { maxBodyBytes: 1_048_576 },
      delivery: {
        timeoutMs: 15_000,
        retrySchedule: [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 18_000_000, 36_000_000],
        maxConcurrency: 256,
        maxConcurrencyPerDestination: 32,
        senderThreads: 0,
      },
      shutdownDelayMs: 0,
      shutdownTimeoutMs: 10_000,
    });
  });

  test('an empty variable counts as not set', () => {
    expect(parseConfig({ PORT: '', HOST: ' ' })).toEqual(parseConfig({}));
  });

  test.each([
    ['sqlite:data.db', 'data.db'],
    ['sqlite:///var/lib/dp.db', '/var/lib/dp.db'],
    ['file:./x.db', './x.db'],
    ['sqlite::memory:', ':memory:'],
  ])('DATABASE_URL %s names the file %s', (url, path) => {
    expect(parseConfig({ DATABASE_URL: url }).database).toEqual({ type: 'sqlite', path });
  });

  test.each(['postgresql://user:pass@db:5432/pusher', 'postgres://localhost/x'])(
    'DATABASE_URL %s names a PostgreSQL database',
    (url) => {
      expect(parseConfig({ DATABASE_URL: url }).database).toEqual({ type: 'postgresql', url });
    },
  );

  test('only a process that may have others beside it delays its stop', () => {
    expect(parseConfig({ DATABASE_URL: 'postgresql://localhost/x' }).shutdownDelayMs).toBe(3_000);
  });

  test('RETRY_SCHEDULE none means a single attempt', () => {
    expect(parseConfig({ RETRY_SCHEDULE: 'none' }).delivery.retrySchedule).toEqual([]);
  });

  test.each([
    ['PORT', '70000', 'PORT must be a whole number from 0 to 65535.'],
    ['PORT', 'http', 'PORT must be a whole number from 0 to 65535.'],
    ['LOG_LEVEL', 'loud', 'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent.'],
    ['DELIVERY_TIMEOUT', '15', 'DELIVERY_TIMEOUT must be a duration'],
    ['RETRY_SCHEDULE', '5s,,1m', 'RETRY_SCHEDULE must be durations'],
    ['RETRY_SCHEDULE', '5s;1m', 'RETRY_SCHEDULE must be durations'],
    ['DATABASE_URL', 'mysql://x', 'DATABASE_URL must be'],
    ['MAX_BODY_BYTES', '-1', 'MAX_BODY_BYTES must be a whole number'],
    ['ROLES', 'api,cook', 'ROLES must be one or more of api, worker, separated by commas.'],
    ['ROLES', 'worker', 'QUEUE_URL and ROLES are for several processes, which need a PostgreSQL DATABASE_URL'],
    ['QUEUE_URL', 'amqp://localhost', 'QUEUE_URL and ROLES are for several processes'],
    ['QUEUE_URL', 'http://localhost', 'QUEUE_URL must be that of a RabbitMQ broker'],
    ['MAX_CONCURRENCY', '10', 'MAX_CONCURRENCY_PER_DESTINATION must not be greater than MAX_CONCURRENCY.'],
  ])('%s=%s is refused in one line that names it', (name, value, message) => {
    const act = () => parseConfig({ [name]: value });
    expect(act).toThrow(message);
    expect(act).not.toThrow(/\n/);
  });
});
