/**
 * `npm run attack`: what honest callers notice while the server is attacked, about ten minutes.
 *
 *   npm run attack                  every attack
 *   npm run attack -- "slow reads"  one of them
 *
 * Each attack meets a server of its own, exposed, that may open 256 files. An honest caller from another address posts
 * an event on a new connection ten times a second, before, during and after the attack. The exit code is 1 when it was
 * not answered, when its answer took more than a second at the 99th percentile after the attack, or when the memory did
 * not come back.
 */
import { ATTACKS } from './attacks.ts';
import { attacked, type Outcome } from './attacked.ts';

/** V8 keeps for a while what its heap has once needed. */
const GROWTH_MIB_MAX = 150;
const P99_AFTER_MS_MAX = 1_000;

const [wanted] = process.argv.slice(2);
const names = Object.keys(ATTACKS).filter((name) => wanted === undefined || name === wanted);
const outcomes: Outcome[] = [];
for (const name of names) {
  process.stderr.write(`${name} ...\n`);
  outcomes.push(await attacked(name));
}
console.table(
  Object.fromEntries(outcomes.map(({ name, ...figures }) => [name, { ...figures, holds: holds(figures) }])),
);
process.exitCode = outcomes.length > 0 && outcomes.every(holds) ? 0 : 1;

function holds({
  unanswered,
  'p99 after, ms': p99,
  'MiB before': before,
  'MiB after': after,
}: Omit<Outcome, 'name'>): boolean {
  return unanswered === 0 && p99 <= P99_AFTER_MS_MAX && after - before <= GROWTH_MIB_MAX;
}
