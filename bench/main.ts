/**
 * `npm run bench`: what the built server does, beside the bare limit of the same work on the same machine.
 *
 *   npm run bench                 about a minute and a half
 *   npm run bench -- --smoke      a few seconds; shows that everything works, the figures say little
 *   npm run bench -- --profile    also prints what the server spent its time on (and costs some speed)
 *
 * How to read it. Machines differ, so each figure stands beside a bare limit that was measured in the same
 * run, in turn with it. Figures are medians over the rounds, which are printed below the table. A share is
 * the median of the rounds' own shares: the two halves of a round see the same machine, those of a run may not.
 *
 *   events accepted    64 keep-alive connections post an event of 300 bytes to an account without
 *                      destinations, and every 202 means a durable commit. Bare: an Express route that reads
 *                      and checks the same body and answers the same, but stores nothing.
 *   deliveries         one destination works off a backlog of stored events, 32 requests at a time, each
 *                      claimed and recorded in the database. Bare: got in a loop, 32 at a time.
 *   accepted/sent to   at 50 events a second, from the 202 (or from sending the event) until it arrives at
 *   arrived            its destination. Bare: one durable write of 4 KiB and one request.
 *   memory             resident set, most of what was seen. Bare: the process of the bare route, or of got.
 *   disk               the database file divided by its events, each delivered once. Bare: the payload alone.
 *
 * The database is in ./data, as it is by default: in a temporary folder, which may be in memory, a durable
 * commit would cost nothing. The exit code says whether everything worked (nothing lost, nothing refused),
 * not how fast it was.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ReleaseStack } from '../src/release-stack.ts';
import { Context, type MeasureName } from './context.ts';
import { measureAccept } from './measure-accept.ts';
import { measureDeliver } from './measure-deliver.ts';
import { measureLatency } from './measure-latency.ts';
import { report } from './report.ts';
import { FULL, SMOKE } from './sizes.ts';

const { values: flags } = parseArgs({ options: { smoke: { type: 'boolean' }, profile: { type: 'boolean' } } });

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
  console.error(error);
} finally {
  await cleanUp.release();
}

async function run(): Promise<void> {
  mkdirSync('data', { recursive: true });
  const folder = mkdtempSync(join('data', 'bench-'));
  cleanUp.add(() => rmSync(folder, { recursive: true, force: true }));
  const sizes = flags.smoke === true ? SMOKE : FULL;
  const context = new Context({ sizes, cleanUp, folder, isProfiling: flags.profile === true });

  const accept = await announced(context, 'accept', 'Accepting events', measureAccept);
  const deliver = await announced(context, 'deliver', 'Delivering a backlog', measureDeliver);
  const latency = await announced(context, 'latency', 'Timing single events', measureLatency);
  console.log(`\n${report({ accept, deliver, latency })}`);
}

async function announced<Result>(
  context: Context,
  name: MeasureName,
  title: string,
  measure: (context: Context) => Promise<Result>,
): Promise<Result> {
  console.error(`${title} ...`);
  const result = await measure(context);
  for (const profile of context.profilesOf(name)) {
    console.log(`\n${title}: time spent in each function itself\n${profile}\n`);
  }
  return result;
}
