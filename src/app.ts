import type { LookupFunction } from 'node:net';
import { type Config, version } from './config/config.ts';
import { AddressRule, type AddressRuleOptions } from './core/address-rule.ts';
import { ReleaseStack } from './core/release-stack.ts';
import { type Clock, systemClock } from './core/clock.ts';
import { createIdSource, type IdSource } from './core/ids.ts';
import { EVERYTHING, type Scope } from './core/scope.ts';
import { type Dispatch, startDispatch } from './dispatch/dispatch.ts';
import { Authenticator } from './access/authentication.ts';
import { createContext } from './graphql/context.ts';
import { startGraphqlServer } from './graphql/server.ts';
import { connectionBounds } from './http/connections.ts';
import { type ApiRoutes, createHttpApp, GRAPHQL_PATH, INGEST_PATH } from './http/http-app.ts';
import { HttpServer, ownAddresses } from './http/http-server.ts';
import { createAcceptBatch } from './ingest/accept-batch.ts';
import { createAcceptEvent } from './ingest/accept-event.ts';
import { AccountQuota, FailureLimit } from './access/limits.ts';
import { Bodies } from './ingest/body.ts';
import { EventRouter } from './ingest/event-router.ts';
import { isPayload } from './ingest/payload-check.ts';
import { receiveBatch } from './ingest/receive-batch.ts';
import { receiveEvent } from './ingest/receive-event.ts';
import { ingestRoute } from './ingest/route.ts';
import { AccountCommands } from './manage/account-commands.ts';
import { DeliveryCommands } from './manage/delivery-commands.ts';
import { DeliveryPreviews } from './manage/delivery-previews.ts';
import { DestinationCommands } from './manage/destination-commands.ts';
import { loadVault } from './config/key-file.ts';
import { type Transformation, Transformer } from './transform/transformer.ts';
import { createLog, Telemetry, type Log } from './observe/telemetry.ts';
import type { DeliveryQueue } from './queue/delivery-queue.ts';
import { LocalQueue } from './queue/local-queue.ts';
import { NotifyQueue } from './queue/notify-queue.ts';
import { Cleaner, type Pace } from './storage/cleaner.ts';
import type { StatementObserver, Storage } from './storage/storage.ts';
import { openStorage } from './storage/open-storage.ts';

/** Replacements for tests. */
export interface Overrides {
  readonly clock?: Clock;
  /** A number in [0, 1). */
  readonly random?: () => number;
  readonly log?: Log;
  readonly observeStatement?: StatementObserver;
  /** The pace of removing deleted rows. */
  readonly cleaning?: Partial<Pace>;
  /** Resolves the names of destinations. Used with `SENDER_THREADS=0` only. */
  readonly lookup?: LookupFunction;
}

export interface App {
  readonly urls: { readonly graphql: string; readonly ingest: string; readonly health: string };
  /** False in a process that only makes deliveries. */
  readonly servesApi: boolean;
  /** True when requests without a token may do everything. */
  readonly isOpen: boolean;
  /** True when there was no account at the start and this server may be a destination, as the first steps use it. */
  readonly isEmpty: boolean;
  /** Resolves when the app can no longer serve. The message is one line. */
  readonly died: Promise<Error>;
  /** Stops accepting, finishes work under way within the configured time, closes the store. May be called again. */
  stop(): Promise<void>;
}

/** Shared by all parts. */
interface Base {
  readonly config: Config;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly telemetry: Telemetry;
  readonly storage: Storage;
  readonly queue: DeliveryQueue;
  readonly transformer: Transformer;
  /** The rule for outgoing requests. `undefined` allows any address. */
  readonly addressRule: AddressRuleOptions | undefined;
}

/**
 * The composition root: builds all parts by hand and starts them in the order of their dependencies. If a part fails to
 * start, those before it are stopped.
 *
 * @throws DatabaseInUseError; Error with code EADDRINUSE and the like
 */
export async function startApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const clock = overrides.clock ?? systemClock;
  const telemetry = new Telemetry(
    overrides.log ?? createLog({ level: config.logLevel, readable: process.stderr.isTTY }),
  );
  const started = new ReleaseStack();
  try {
    const storage = await openStorage(config.database, loadVault(config), {
      observe: overrides.observeStatement,
    });
    started.add(() => storage.close());
    if (storage.isSoleOwner) {
      await storage.deliveries.recoverLeases();
    }
    const isEmpty = (await storage.reads(EVERYTHING).accounts.accountCount()) === 0;
    const random = overrides.random ?? Math.random;
    const parts = { config, clock, random, telemetry, storage };
    const queue = await createQueue(parts);
    started.add(() => queue.stop());
    const transformer = new Transformer({ telemetry });
    started.add(() => transformer.close());
    const base: Base = { ...parts, queue, transformer, addressRule: await addressRuleOf(config) };
    const dispatch = config.roles.includes('worker') ? await startWorker(base, overrides.lookup) : undefined;
    started.add(async () => void (await dispatch?.stop(0)));
    if (config.roles.includes('worker')) {
      const cleaner = createCleaner(base, overrides.cleaning);
      cleaner.start();
      started.add(() => cleaner.stop());
    }
    const origin = await startHttp(base, dispatch, started);
    telemetry.started({ url: origin });
    return {
      urls: { graphql: origin + GRAPHQL_PATH, ingest: origin + INGEST_PATH, health: `${origin}/health` },
      isEmpty: isEmpty && base.addressRule === undefined,
      isOpen: config.adminToken === undefined,
      servesApi: config.roles.includes('api'),
      died: storage.died,
      stop: () => started.release(),
    };
  } catch (error) {
    await started.release();
    throw error;
  }
}

async function createQueue({
  config,
  random,
  telemetry,
  storage,
}: Omit<Base, 'queue' | 'transformer' | 'addressRule'>): Promise<DeliveryQueue> {
  const withoutBroker = storage.notifier === undefined ? new LocalQueue() : new NotifyQueue(storage.notifier);
  if (config.queueUrl !== undefined) {
    const { RabbitQueue } = await import('./queue/rabbit-queue.ts');
    const queue = new RabbitQueue({
      url: config.queueUrl,
      queueName: config.queueName,
      telemetry,
      random,
      fallback: withoutBroker,
    });
    if (config.roles.includes('api')) {
      queue.connect();
    }
    return queue;
  }
  return withoutBroker;
}

async function addressRuleOf({ egress, host }: Config): Promise<AddressRuleOptions | undefined> {
  return egress.isFiltered ? { allowed: egress.allowed, own: await ownAddresses(host) } : undefined;
}

const USER_AGENT = `Data-Pusher/${version}`;

function startWorker(base: Base, lookup: LookupFunction | undefined): Promise<Dispatch> {
  const { config, clock, random, telemetry, storage, queue, transformer, addressRule } = base;
  return startDispatch({
    queue,
    deliveries: storage.deliveries,
    clock,
    telemetry,
    expressions: transformer,
    random,
    ...config.delivery,
    egress: { rule: addressRule, proxyUrl: config.egress.proxyUrl },
    lookup,
    userAgent: USER_AGENT,
  });
}

function createCleaner({ storage, telemetry }: Base, pace: Partial<Pace> | undefined): Cleaner {
  return new Cleaner({
    cleaning: storage.cleaning,
    monotonicNow: () => performance.now(),
    onRemoved: (marked) => telemetry.deletionFinished(marked),
    onFailure: (error) => telemetry.storageFailed('cleaning', error),
    pace,
  });
}

/** @returns the server's origin; a process that only makes deliveries serves its health there */
async function startHttp(base: Base, dispatch: Dispatch | undefined, started: ReleaseStack): Promise<string> {
  const { config, telemetry, storage } = base;
  const api = config.roles.includes('api') ? await startApi(base, dispatch, started) : undefined;
  const isReady = async () => !server.isClosing && (await storage.isUp());
  const server = new HttpServer(
    createHttpApp({ api, isReady, telemetry }),
    connectionBounds(config.limits.trustProxy !== false),
  );
  const { port } = await server.listen(config.host, config.port);
  // At the same time, because both share the configured time.
  started.add(async () => {
    const [, unfinished] = await Promise.all([
      server.close({ delayMs: api === undefined ? 0 : config.shutdownDelayMs, graceMs: config.shutdownTimeoutMs }),
      dispatch?.stop(config.shutdownTimeoutMs),
    ]);
    telemetry.stopped({ unfinished: unfinished ?? 0 });
  });
  return `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
}

async function startApi(base: Base, dispatch: Dispatch | undefined, started: ReleaseStack): Promise<ApiRoutes> {
  const { config, clock, telemetry, storage, queue, transformer } = base;
  const addressRule = base.addressRule && new AddressRule(base.addressRule);
  const newId = createIdSource(clock);
  const publish = queue.publish.bind(queue);
  const { fork, events, vault } = storage;
  const onDisabled = (destinationIds: readonly string[]) => dispatch?.withdraw(destinationIds);
  const onChanged = (destinationId: string) => dispatch?.renew(destinationId);
  const transform = (transformation: Transformation) => transformer.transform(transformation);
  const parseTransform = (callerId: string, expression: string) => transformer.parse(callerId, expression);
  const commandsOf = (scope: Scope) => ({
    accounts: new AccountCommands({ scope, fork, clock, newId, vault, onDisabled }),
    destinations: new DestinationCommands({
      scope,
      fork,
      clock,
      newId,
      vault,
      onDisabled,
      onChanged,
      addressRule,
      parseTransform,
    }),
    deliveries: new DeliveryCommands({ scope, fork, clock, publish }),
  });
  const { isExposed, adminToken, corsOrigins: origins, limits } = config;
  const failureLimit = limits.authFailures && new FailureLimit(limits.authFailures, clock);
  const accountIdOf = (token: string) => events.accountIdOf(token);
  const router = new EventRouter();
  started.add(() => router.stop());
  const graphql = await startGraphqlServer({ isExposed, telemetry });
  started.add(() => graphql.stop());
  return {
    graphql,
    graphqlContext: (caller) =>
      createContext({
        caller,
        reads: (meter) => storage.reads(caller, meter),
        commands: commandsOf(caller),
        previews: new DeliveryPreviews({ vault, clock, newId, userAgent: USER_AGENT, isPayload, transform }),
        vault,
        policyDefaults: { ...config.delivery, maxConcurrency: config.delivery.maxConcurrencyPerDestination },
      }),
    authenticator: new Authenticator({ adminToken, isExposed, accountIdOf }),
    cors: { origins, isExposed },
    failureLimit,
    trustProxy: limits.trustProxy,
    ...createIngest(base, { accountIdOf, router, newId, failureLimit }),
  };
}

interface IngestParts {
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
  readonly router: EventRouter;
  readonly newId: IdSource;
  readonly failureLimit: FailureLimit | undefined;
}

/** Both routes share the limits and the memory for bodies. */
function createIngest(base: Base, parts: IngestParts): Pick<ApiRoutes, 'ingest' | 'ingestBatch'> {
  const { config, clock, telemetry, storage, queue } = base;
  const { accountIdOf, router, newId, failureLimit } = parts;
  const { maxBodyBytes, maxBatchBytes } = config.ingest;
  const quota = config.limits.ingest && new AccountQuota({ ...config.limits.ingest, clock, accountIdOf });
  const accepting = { events: storage.events, router, queue, clock, newId, telemetry };
  const reading = { accountIdOf, bodies: new Bodies() };
  const acceptEvent = createAcceptEvent(accepting);
  const acceptBatch = createAcceptBatch(accepting);
  const limits = { quota, failureLimit, telemetry };
  return {
    ingest: ingestRoute({ receive: receiveEvent({ acceptEvent, ...reading, maxBytes: maxBodyBytes }), ...limits }),
    ingestBatch: ingestRoute({
      receive: receiveBatch({
        acceptBatch,
        ...reading,
        quota,
        maxBytes: maxBatchBytes,
        eventMaxBytes: maxBodyBytes,
      }),
      ...limits,
    }),
  };
}
