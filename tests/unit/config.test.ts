import { availableParallelism } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../src/config/config.ts';

const KEYS = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));

describe('parseConfig', () => {
  test('has the defaults that the README tells', () => {
    expect(parseConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4000,
      isExposed: false,
      adminToken: undefined,
      corsOrigins: [],
      encryptionKeys: [],
      database: { type: 'sqlite', path: './data/data-pusher.db' },
      queueUrl: undefined,
      queueName: 'data-pusher.deliveries',
      roles: ['api', 'worker'],
      logLevel: 'info',
      ingest: { maxBodyBytes: 1_048_576, maxBatchBytes: 8_388_608 },
      limits: { ingest: undefined, authFailures: undefined, trustProxy: false },
      delivery: {
        timeoutMs: 15_000,
        retrySchedule: [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 18_000_000, 36_000_000],
        maxConcurrency: 256,
        maxConcurrencyPerDestination: 32,
        senderThreads: Math.min(availableParallelism() - 1, 4),
      },
      egress: { isFiltered: false, allowed: [], proxyUrl: undefined },
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
      expect(parseConfig({ DATABASE_URL: url, ENCRYPTION_KEY: KEYS[0] }).database).toEqual({ type: 'postgresql', url });
    },
  );

  test('LISTEN_DATABASE_URL names the way to the same database without a pooler', () => {
    const url = 'postgresql://u@pooler:6432/x';
    const listenUrl = 'postgresql://u@db:5432/x';
    expect(
      parseConfig({ DATABASE_URL: url, LISTEN_DATABASE_URL: listenUrl, ENCRYPTION_KEY: KEYS[0] }).database,
    ).toEqual({ type: 'postgresql', url, listenUrl });
  });

  test('only a process that may have others beside it delays its stop', () => {
    expect(parseConfig({ DATABASE_URL: 'postgresql://localhost/x', ENCRYPTION_KEY: KEYS[0] }).shutdownDelayMs).toBe(
      3_000,
    );
  });

  test.each(['127.0.0.1', '127.8.9.10', '::1', 'localhost', 'LocalHost'])('on HOST %s it is not exposed', (host) => {
    expect(parseConfig({ HOST: host }).isExposed).toBe(false);
  });

  test.each(['0.0.0.0', '::', '192.168.1.2', 'example.com', 'localhost.example.com', '::ffff:10.0.0.1'])(
    'on HOST %s it is exposed, and says what it needs',
    (host) => {
      const secrets = { ADMIN_TOKEN: 'a'.repeat(24), ENCRYPTION_KEY: KEYS[0] };
      expect(() => parseConfig({ HOST: host })).toThrow(/ADMIN_TOKEN \(openssl .*ENCRYPTION_KEY \(openssl /u);
      expect(() => parseConfig({ HOST: host, ...secrets, ADMIN_TOKEN: '' })).toThrow(/needs ADMIN_TOKEN/u);
      expect(() => parseConfig({ HOST: host, ...secrets, ENCRYPTION_KEY: '' })).toThrow(/needs ENCRYPTION_KEY/u);
      expect(parseConfig({ HOST: host, ...secrets })).toMatchObject({ isExposed: true, adminToken: 'a'.repeat(24) });
    },
  );

  test('CORS_ORIGINS holds several origins', () => {
    const origins = ['https://app.example.com', 'http://localhost:3000'];
    expect(parseConfig({ CORS_ORIGINS: origins.join(' ,') }).corsOrigins).toEqual(origins);
  });

  test('where it is exposed, or exceptions are named, requests may go to the internet only', () => {
    const secrets = { ADMIN_TOKEN: 'a'.repeat(24), ENCRYPTION_KEY: KEYS[0] };
    expect(parseConfig({ HOST: '0.0.0.0', ...secrets }).egress).toMatchObject({ isFiltered: true, allowed: [] });
    expect(parseConfig({ ALLOW_DESTINATIONS: 'none' }).egress).toMatchObject({ isFiltered: true, allowed: [] });
    expect(parseConfig({ ALLOW_DESTINATIONS: '10.1.0.0/16, FD00::/8,::1,Hooks.Internal' }).egress).toMatchObject({
      isFiltered: true,
      allowed: ['10.1.0.0/16', 'FD00::/8', '::1', 'hooks.internal'],
    });
  });

  test('EGRESS_PROXY is an HTTP proxy, with its password', () => {
    const proxyUrl = 'http://user:pass%40word@proxy.example:3128';
    expect(parseConfig({ EGRESS_PROXY: proxyUrl }).egress.proxyUrl).toBe(proxyUrl);
  });

  test('ENCRYPTION_KEY holds several keys, in their order', () => {
    const { encryptionKeys } = parseConfig({ ENCRYPTION_KEY: KEYS.join(', ') });
    expect(encryptionKeys.map((key) => key.toString('base64'))).toEqual(KEYS);
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
    ['DATABASE_URL', 'postgresql://x/y', 'With a PostgreSQL DATABASE_URL all processes need the same ENCRYPTION_KEY'],
    ['LISTEN_DATABASE_URL', 'postgresql://x/y', 'LISTEN_DATABASE_URL must be'],
    ['SENDER_THREADS', '65', 'SENDER_THREADS must be a whole number from 0 to 64.'],
    ['MAX_BATCH_BYTES', '8MiB', 'MAX_BATCH_BYTES must be a whole number'],
    ['MAX_BODY_BYTES', '-1', 'MAX_BODY_BYTES must be a whole number'],
    ['ROLES', 'api,cook', 'ROLES must be one or more of api, worker, separated by commas.'],
    ['ROLES', 'worker', 'QUEUE_URL and ROLES are for several processes, which need a PostgreSQL DATABASE_URL'],
    ['QUEUE_URL', 'amqp://localhost', 'QUEUE_URL and ROLES are for several processes'],
    ['QUEUE_URL', 'http://localhost', 'QUEUE_URL must be the URL of a RabbitMQ broker'],
    ['ADMIN_TOKEN', 'a'.repeat(23), 'ADMIN_TOKEN must have at least 24 visible ASCII characters'],
    ['ADMIN_TOKEN', `${'a'.repeat(24)} b`, 'ADMIN_TOKEN must have at least 24 visible ASCII characters'],
    ...[
      '*',
      'null',
      'app.example.com',
      'https://app.example.com/',
      'https://App.example.com',
      'https://a.example,',
    ].map((origins) => ['CORS_ORIGINS', origins, 'CORS_ORIGINS must be origins separated by commas'] as const),
    ['EGRESS_PROXY', 'https://proxy.example', 'EGRESS_PROXY must be the URL of an HTTP proxy'],
    ['EGRESS_PROXY', 'proxy.example:3128', 'EGRESS_PROXY must be the URL of an HTTP proxy'],
    ['EGRESS_PROXY', 'http://proxy.example/path', 'EGRESS_PROXY must be the URL of an HTTP proxy'],
    ['EGRESS_PROXY', 'http://user:%zz@proxy.example', 'EGRESS_PROXY must be the URL of an HTTP proxy'],
    ['ALLOW_DESTINATIONS', '10.0.0.0/33', 'ALLOW_DESTINATIONS must be networks, addresses and host names'],
    ['ALLOW_DESTINATIONS', '10.0.0.1,', 'ALLOW_DESTINATIONS must be networks, addresses and host names'],
    ['ALLOW_DESTINATIONS', '*.example', 'ALLOW_DESTINATIONS must be networks, addresses and host names'],
    ['ALLOW_DESTINATIONS', 'http://a.example', 'ALLOW_DESTINATIONS must be networks, addresses and host names'],
    ['ENCRYPTION_KEY', 'c2hvcnQ=', 'ENCRYPTION_KEY must be 32 bytes in base64'],
    ['ENCRYPTION_KEY', `${KEYS[0]}!`, 'ENCRYPTION_KEY must be 32 bytes in base64'],
    ['ENCRYPTION_KEY', `${KEYS[0]},`, 'ENCRYPTION_KEY must be 32 bytes in base64'],
    ['ENCRYPTION_KEY', `${KEYS[0]},${KEYS[0]}`, 'ENCRYPTION_KEY names the same key twice.'],
    ['MAX_CONCURRENCY', '10', 'MAX_CONCURRENCY_PER_DESTINATION must not be greater than MAX_CONCURRENCY.'],
  ])('%s=%s is refused in one line that names it', (name, value, message) => {
    const act = () => parseConfig({ [name]: value });
    expect(act).toThrow(message);
    expect(act).not.toThrow(/\n/);
  });
});
