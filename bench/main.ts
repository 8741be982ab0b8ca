/**
 * `npm run bench`: what the built server does, beside the bare limit of the same work on the same machine.
 *
 *   npm run bench                          one process on SQLite; about two and a half minutes
 *   npm run bench -- --profile postgres    an api process, and a worker process for each core, on PostgreSQL
 *   npm run bench -- --profile rabbitmq    the same with RabbitMQ between them
 *   npm run bench -- --smoke               a few seconds; shows that everything works, the figures say little
 *   npm run bench -- --cpu-profile         also prints what the server spent its time on (and costs some speed)
 *
 * The services are those that DATABASE_URL and QUEUE_URL name (`npm run services` starts some); there the
 * benchmark makes databases and queues of its own, and removes them.
 *
 * How to read it. Machines differ, so each figure stands beside a bare limit that was measured in the same
 * run, in turn with it. Figures are medians over the rounds, which are printed below the table. A share is
 * the median of the rounds' own shares: the parts of a round see the same machine, those of a run may not.
 *
 *   events accepted    64 keep-alive connections post an event of 300 bytes to an account without
 *                      destinations, and every 202 means a durable commit. Bare: an Express route that reads
 *                      and checks the same body and answers the same, but stores nothing.
 *   deliveries         one destination works off a backlog of stored events, 32 requests at a time (for each
 *                      worker process), each claimed and recorded in the database. Bare: as many loops of got
 *                      as there are senders, with as many requests at a time. A sender is a thread
 *                      (SENDER_THREADS) or a worker process. The line below is the same on one event loop,
 *                      and how many times faster all are. The receiver needs the same cores.
 *   accepted/sent to   at 50 events a second, from the 202 (or from sending the event) until it arrives at
 *   arrived            its destination. Bare: one durable write of 4 KiB and one request. Idle: two a second.
 *   memory             resident set of all processes of the server together, most of what was seen. Bare: that
 *                      of the bare route, or of got.
 *   disk               the database divided by its events, each delivered once. Bare: the payload alone.
 *   statements         what PostgreSQL is asked for one event at full load; see measure-statements.ts.
 *
 * A SQLite database is in ./data, as it is by default: in a temporary folder, which may be in memory, a durable
 * commit would cost nothing. The exit code says whether everything worked (nothing lost, nothing refused),
 * not how fast it was.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ReleaseStack } from '../src/release-stack.ts';
import { type Profile, PROFILES } from './backing.ts';
import { Context, type MeasureName } from './context.ts';
import { measureAccept } from './measure-accept.ts';
import { measureDeliver } from './measure-deliver.ts';
import { measureLatency } from './measure-latency.ts';
import { measureStatements } from './measure-statements.ts';
import { report } from './report.ts';
import { FULL, SMOKE } from './sizes.ts';
import { UsageError } from './usage-error.ts';

const cleanUp = new ReleaseStack();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void cleanUp.release().finally(() => process.exit(130));
  });
}

try {
  await run();
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof UsageError ? error.message : error);
} finally {
  await cleanUp.release();
}

async function run(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      profile: { type: 'string', default: 'sqlite' },
      smoke: { type: 'boolean', default: false },
      'cpu-profile': { type: 'boolean', default: false },
    },
  });
  const profile = profileNamed(flags.profile);
  mkdirSync('data', { recursive: true });
  const folder = mkdtempSync(join('data', 'bench-'));
  cleanUp.add(() => rmSync(folder, { recursive: true, force: true }));
  const sizes = flags.smoke ? SMOKE : FULL;
  const context = new Context({ profile, sizes, cleanUp, folder, takesCpuProfiles: flags['cpu-profile'] });

  const accept = await announced(context, 'accept', 'Accepting events', measureAccept);
  const deliver = await announced(context, 'deliver', 'Delivering a backlog', measureDeliver);
  const latency = await announced(context, 'latency', 'Timing single events', measureLatency);
  const statements = await measureStatements(context);
  console.log(`\n${report({ profile, accept, deliver, latency, statements })}`);
}

function profileNamed(name: string): Profile {
  const profile = PROFILES.find((one) => one === name);
  if (profile === undefined) {
    throw new UsageError(`--profile must be one of ${PROFILES.join(', ')}.`);
  }
  return profile;
}

async function announced<Result>(
  context: Context,
  name: MeasureName,
  title: string,
  measure: (context: Context) => Promise<Result>,
): Promise<Result> {
  console.error(`${title} ...`);
  const result = await measure(context);
  for (const cpuProfile of context.cpuProfilesOf(name)) {
    console.log(`\n${title}: time spent in each function itself\n${cpuProfile}\n`);
  }
  return result;
}
