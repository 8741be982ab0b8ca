/**
 * `npm run bench`: what the built server does, beside the bare limit of the same work on the same machine.
 *
 *   npm run bench                          one process on SQLite; about three minutes
 *   npm run bench -- --profile postgres    an api process, and a worker process for each core, on PostgreSQL
 *   npm run bench -- --profile rabbitmq    the same with RabbitMQ between them
 *   npm run bench -- --smoke               a few seconds; shows that everything works, the figures say little
 *   npm run bench -- --cpu-profile         also prints what the server spent its time on (and costs some speed)
 *   npm run bench -- --scenario mixed      one of accept, batch, routed, deliver, latency, mixed, statements,
 *                                          which are run by default, or many; may be given several times
 *
 * For all scenarios: --workers 2 (worker processes, or sender threads on SQLite), --rounds 3.
 * For deliver: --backlog 100000 (events to be worked off, in one round).
 * For mixed: --seconds 60, --destinations 10, --finished 5000000 (deliveries that were finished before).
 * For mixed and routed: --against DIR, a checkout of another version that has been built: both are measured, in
 *   turn, and the other stands in the column of the bare limit.
 * For many: --accounts 100, --destinations 100 (of each account), --pending 100 (for each destination).
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
 *   in batches         the same for batches of 100 of these events. In the column of the bare limit: single ones.
 *   by rules           the same for events that make one delivery: ten destinations have types and a filter of
 *                      five conditions, and one takes them. In the column of the bare limit: one destination
 *                      without rules.
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
 *   mixed              the same connections post for 15 seconds, and what they post is delivered meanwhile, to
 *                      one destination that answers at once; then the rest is worked off. Rates are those of
 *                      the median second; below the table stands every second. The first second is left out.
 *                      Processor time is that from the first event to the last delivery, divided by thousands
 *                      of events; that of PostgreSQL is the whole server's, whoever uses it. New tables are
 *                      analysed by themselves once in a while, so autovacuum is held off under load, or luck
 *                      would decide what PostgreSQL knows of them.
 *   many               a backlog that waits for many destinations, beside one that waits for a single one (in
 *                      the column of the bare limit); and how long another account's event takes meanwhile.
 *   statements         what PostgreSQL is asked for one event at full load; see measure-statements.ts.
 *
 * A SQLite database is in ./data, as it is by default: in a temporary folder, which may be in memory, a durable
 * commit would cost nothing. The exit code says whether everything worked (nothing lost, nothing refused),
 * not how fast it was.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ReleaseStack } from '../src/core/release-stack.ts';
import { Context } from './context.ts';
import { parseOptions } from './options.ts';
import { type Findings, report } from './report.ts';
import { PLAYS } from './scenarios.ts';
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
  const options = parseOptions();
  mkdirSync('data', { recursive: true });
  const folder = mkdtempSync(join('data', 'bench-'));
  cleanUp.add(() => rmSync(folder, { recursive: true, force: true }));
  const context = new Context({ ...options, cleanUp, folder });

  const findings: Findings[] = [];
  for (const scenario of options.scenarios) {
    const { title, run: play } = PLAYS[scenario];
    console.error(`${title} ...`);
    findings.push(await play(context));
    for (const cpuProfile of context.cpuProfilesOf(scenario)) {
      console.log(`\n${title}: time spent in each function itself\n${cpuProfile}\n`);
    }
  }
  console.log(`\n${report(findings)}`);
}
