import { availableParallelism } from 'node:os';
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import type { RetrySchedule } from '../core/retry-policy.ts';
import { isLoopback, parseAdminToken, parseEncryptionKeys, parseOrigins, requireSecrets } from './secrets.ts';
import { ConfigError, Environment } from './environment.ts';
import type { Rate } from '../core/token-bucket.ts';
import { parseAllowedDestination, parseNetwork } from '../core/address-rule.ts';

export { ConfigError };

/** All settings, parsed and checked. Durations are in milliseconds. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Programs on other machines can reach the server. Every request then needs a token. */
  readonly isExposed: boolean;
  /** The token that allows everything. Without one, every local request is allowed everything. */
  readonly adminToken: string | undefined;
  /** The origins whose pages may call the API from a browser. */
  readonly corsOrigins: readonly string[];
  /** Keys of 32 bytes. The first encrypts, all decrypt. If there are none, one is stored beside the SQLite file. */
  readonly encryptionKeys: readonly Buffer[];
  readonly database: DatabaseConfig;
  /** The amqp URL of the broker between processes. */
  readonly queueUrl: string | undefined;
  /** The name of the queue on the broker. */
  readonly queueName: string;
  /** `api` accepts events and serves the API, `worker` makes deliveries. */
  readonly roles: readonly Role[];
  readonly logLevel: LogLevel;
  readonly ingest: { readonly maxBodyBytes: number; readonly maxBatchBytes: number };
  readonly limits: LimitsConfig;
  readonly delivery: DeliveryConfig;
  readonly egress: EgressConfig;
  /** After the signal to stop, requests are accepted for this time, while proxies move to the other processes. */
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
}

const ROLES = ['api', 'worker'] as const;
type Role = (typeof ROLES)[number];

export type DatabaseConfig =
  /** `path` names a file, or is `:memory:`. */
  | { readonly type: 'sqlite'; readonly path: string }
  /** `listenUrl` leads to the same database without a pooler. */
  | { readonly type: 'postgresql'; readonly url: string; readonly listenUrl?: string };

interface DeliveryConfig {
  readonly timeoutMs: number;
  readonly retrySchedule: RetrySchedule;
  readonly maxConcurrency: number;
  readonly maxConcurrencyPerDestination: number;
  /** The number of threads that make requests. 0 makes them on the main thread. */
  readonly senderThreads: number;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

const MIB = 1_048_576;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export function loadConfig(): Config {
  return parseConfig(process.env);
}

/**
 * The only place that knows the names of environment variables.
 *
 * @throws ConfigError with one line that names the variable and the allowed values
 */
export function parseConfig(variables: Readonly<Record<string, string | undefined>>): Config {
  const environment = new Environment(variables);
  const database = parseDatabase(environment);
  const host = environment.text('HOST', '127.0.0.1');
  const isExposed = !isLoopback(host);
  const config: Config = {
    host,
    port: environment.integer('PORT', 4000, { min: 0, max: 65_535 }),
    isExposed,
    adminToken: parseAdminToken(environment.text('ADMIN_TOKEN', '')),
    corsOrigins: parseOrigins(environment.text('CORS_ORIGINS', '')),
    encryptionKeys: parseEncryptionKeys(environment.text('ENCRYPTION_KEY', '')),
    database,
    queueUrl: parseQueueUrl(environment.text('QUEUE_URL', '')),
    queueName: environment.text('QUEUE_NAME', 'data-pusher.deliveries'),
    roles: environment.someOf('ROLES', ROLES),
    logLevel: environment.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    ingest: {
      maxBodyBytes: environment.integer('MAX_BODY_BYTES', MIB, { min: 1, max: 64 * MIB }),
      maxBatchBytes: environment.integer('MAX_BATCH_BYTES', 8 * MIB, { min: 1, max: 64 * MIB }),
    },
    limits: parseLimits(environment, isExposed),
    delivery: {
      timeoutMs: environment.duration('DELIVERY_TIMEOUT', '15s', { min: 100, max: HOUR }),
      retrySchedule: environment.durations('RETRY_SCHEDULE', '5s,30s,2m,10m,30m,1h,2h,5h,10h', {
        min: 0,
        max: 30 * DAY,
      }),
      maxConcurrency: environment.integer('MAX_CONCURRENCY', 256, { min: 1, max: 10_000 }),
      maxConcurrencyPerDestination: environment.integer('MAX_CONCURRENCY_PER_DESTINATION', 32, { min: 1, max: 10_000 }),
      senderThreads: environment.integer('SENDER_THREADS', defaultSenderThreads(), { min: 0, max: 64 }),
    },
    egress: parseEgress({
      isExposed,
      allow: environment.text('ALLOW_DESTINATIONS', ''),
      proxy: environment.text('EGRESS_PROXY', ''),
    }),
    // The owner of a SQLite file has no other processes to which requests could move.
    shutdownDelayMs: environment.duration('SHUTDOWN_DELAY', database.type === 'sqlite' ? '0s' : '3s', {
      min: 0,
      max: HOUR,
    }),
    shutdownTimeoutMs: environment.duration('SHUTDOWN_TIMEOUT', '10s', { min: 0, max: HOUR }),
  };
  if (config.delivery.maxConcurrencyPerDestination > config.delivery.maxConcurrency) {
    throw new ConfigError('MAX_CONCURRENCY_PER_DESTINATION must not be greater than MAX_CONCURRENCY.');
  }
  if (config.database.type === 'sqlite' && (config.queueUrl !== undefined || config.roles.length < ROLES.length)) {
    throw new ConfigError(
      'QUEUE_URL and ROLES are for several processes, which need a PostgreSQL DATABASE_URL: a SQLite file has one owner.',
    );
  }
  requireSecrets(config);
  return Object.freeze(config);
}

/** On loopback, every sender is a program of this machine: the limits are off by default. */
function parseLimits(environment: Environment, isExposed: boolean): LimitsConfig {
  const rate = environment.rate('INGEST_RATE', isExposed ? '100/s' : 'none');
  const burst = environment.integer('INGEST_BURST', defaultBurst(rate), { min: 1, max: 10_000_000 });
  return {
    ingest: rate && { rate, burst },
    authFailures: environment.rate('AUTH_FAILURE_RATE', isExposed ? '20/m' : 'none'),
    trustProxy: parseTrustProxy(environment.text('TRUST_PROXY', 'none')),
  };
}

/** One core is left for everything else. The dispatcher cannot keep more than 4 threads busy. */
function defaultSenderThreads(): number {
  return Math.min(availableParallelism() - 1, 4);
}

function parseQueueUrl(text: string): string | undefined {
  if (text !== '' && !(/^amqps?:\/\//u.test(text) && URL.canParse(text))) {
    throw new ConfigError('QUEUE_URL must be the URL of a RabbitMQ broker, such as amqp://user:password@host:5672.');
  }
  return text === '' ? undefined : text;
}

function parseDatabase(environment: Environment): DatabaseConfig {
  const database = parseDatabaseUrl('DATABASE_URL', environment.text('DATABASE_URL', 'sqlite:./data/data-pusher.db'));
  const listenUrl = environment.text('LISTEN_DATABASE_URL', '');
  if (listenUrl === '') {
    return database;
  }
  if (database.type !== 'postgresql' || !isPostgresqlUrl(listenUrl)) {
    throw new ConfigError(
      'LISTEN_DATABASE_URL must be postgresql://user:password@host:5432/database, the database of a PostgreSQL DATABASE_URL without the pooler.',
    );
  }
  return { ...database, listenUrl };
}

function isPostgresqlUrl(text: string): boolean {
  return /^postgres(?:ql)?:\/\//u.test(text) && URL.canParse(text);
}

/** @param name the setting's name, for the error */
export function parseDatabaseUrl(name: string, text: string): DatabaseConfig {
  if (isPostgresqlUrl(text)) {
    return { type: 'postgresql', url: text };
  }
  const path = /^(?:sqlite|file):(?:\/\/(?=\/))?(.+)$/u.exec(text)?.[1];
  if (path === undefined || path.includes('\0')) {
    throw new ConfigError(
      `${name} must be "sqlite:" and the path of a file, such as sqlite:./data/data-pusher.db, or postgresql://user:password@host:5432/database.`,
    );
  }
  return { type: 'sqlite', path };
}

/** Limits for senders. */
interface LimitsConfig {
  /** The events that an account may send to each process, and the burst. */
  readonly ingest: { readonly rate: Rate; readonly burst: number } | undefined;
  /** The wrong tokens that may come from one address. */
  readonly authFailures: Rate | undefined;
  /** The proxies whose X-Forwarded-For is trusted: none, so many in a row, or those in these networks. */
  readonly trustProxy: false | number | readonly string[];
}

const BURST_MS = 10_000;

/** The events of ten seconds at the rate. */
function defaultBurst(rate: Rate | undefined): number {
  return rate === undefined ? 1 : Math.ceil((rate.count * BURST_MS) / rate.perMs);
}

/** Express's names for local networks. */
const NAMED_NETWORKS: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal']);
const HOPS = /^[1-9]\d?$/u;

function parseTrustProxy(text: string): LimitsConfig['trustProxy'] {
  if (text === 'none') {
    return false;
  }
  if (HOPS.test(text)) {
    return Number(text);
  }
  const networks = text.split(',').map((part) => part.trim());
  if (!networks.every((network) => NAMED_NETWORKS.has(network) || isTrustable(network))) {
    throw new ConfigError(
      'TRUST_PROXY must be the number of proxies in front, or their networks and addresses separated by commas, such as 10.0.0.0/8,::1, or "none".',
    );
  }
  return networks;
}

/** A /0 would trust everybody. */
function isTrustable(text: string): boolean {
  const [, bits = 0] = parseNetwork(text) ?? [];
  return bits > 0;
}

/** The rules for outgoing requests. */
interface EgressConfig {
  /** If true, requests may only go to public addresses and to `allowed`. */
  readonly isFiltered: boolean;
  readonly allowed: readonly string[];
  /** The URL of an HTTP proxy, which may contain a password. */
  readonly proxyUrl: string | undefined;
}

interface EgressSettings {
  readonly isExposed: boolean;
  /** `ALLOW_DESTINATIONS`; empty when it is not set. */
  readonly allow: string;
  /** `EGRESS_PROXY`; empty when it is not set. */
  readonly proxy: string;
}

/** ALLOW_DESTINATIONS turns the rule on: a worker on loopback cannot know that others can reach the API. */
function parseEgress({ isExposed, allow, proxy }: EgressSettings): EgressConfig {
  const entries = allow === '' || allow === 'none' ? [] : allow.split(',').map((part) => part.trim());
  return {
    isFiltered: isExposed || allow !== '',
    allowed: entries.map((entry) => requireAllowed(entry)),
    proxyUrl: parseProxyUrl(proxy),
  };
}

function requireAllowed(entry: string): string {
  const allowed = parseAllowedDestination(entry);
  if (allowed === undefined) {
    throw new ConfigError(
      'ALLOW_DESTINATIONS must be networks, addresses and host names separated by commas, such as 10.1.0.0/16,fd00::1,hooks.internal, or "none".',
    );
  }
  return allowed;
}

function parseProxyUrl(text: string): string | undefined {
  const url = URL.parse(text);
  const isWhole = url?.protocol === 'http:' && url.pathname === '/' && url.search === '' && url.hash === '';
  if (text !== '' && !(isWhole && canBeDecoded(url))) {
    throw new ConfigError('EGRESS_PROXY must be the URL of an HTTP proxy, such as http://user:password@proxy:3128.');
  }
  return text === '' ? undefined : text;
}

function canBeDecoded({ username, password }: URL): boolean {
  try {
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}

const manifest = findPackageJSON(import.meta.url) as string;

/** From `package.json`. */
export const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
