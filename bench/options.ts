import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Profile, PROFILES } from './backing.ts';
import { FULL, type Sizes, SMOKE } from './sizes.ts';
import { UsageError } from './usage-error.ts';

export const SCENARIOS = ['accept', 'deliver', 'latency', 'mixed', 'many', 'routed', 'batch', 'statements'] as const;
export type Scenario = (typeof SCENARIOS)[number];
const DEFAULT_SCENARIOS: readonly Scenario[] = [
  'accept',
  'batch',
  'routed',
  'deliver',
  'latency',
  'mixed',
  'statements',
];
/** Those that measure another build beside this one. */
const COMPARING: ReadonlySet<Scenario> = new Set(['mixed', 'routed']);

/** What was asked for on the command line. */
export interface Options {
  readonly profile: Profile;
  readonly scenarios: readonly Scenario[];
  readonly sizes: Sizes;
  readonly takesCpuProfiles: boolean;
  /** Worker processes, or sender threads on SQLite; as many as there are cores unless it is given. */
  readonly workers: number | undefined;
  /** The built program of another checkout, to be measured beside this one. */
  readonly against: string | undefined;
}

/** @throws UsageError */
export function parseOptions(): Options {
  const flags = readFlags();
  const sizes = flags.smoke ? SMOKE : FULL;
  const count = (name: keyof typeof flags, otherwise: number) => countOf(name, flags[name] as string, otherwise);
  const backlogEvents = count('backlog', sizes.backlogEvents);
  const named = flags.scenario?.map((name) => oneOf('scenario', SCENARIOS, name));
  const scenarios = named ?? (flags.against === undefined ? DEFAULT_SCENARIOS : ['mixed' as const]);
  const mixedRounds = flags.against === undefined ? 1 : 2;
  return {
    profile: oneOf('profile', PROFILES, flags.profile),
    scenarios: flags.against === undefined ? scenarios : scenarios.filter((name) => COMPARING.has(name)),
    sizes: {
      ...sizes,
      rounds: count('rounds', flags.backlog === undefined ? sizes.rounds : 1),
      backlogEvents,
      mixedRounds: count('rounds', mixedRounds),
      mixedSeconds: count('seconds', sizes.mixedSeconds),
      mixedDestinations: count('destinations', sizes.mixedDestinations),
      finishedEvents: count('finished', 0),
      manyAccounts: count('accounts', sizes.manyAccounts),
      manyDestinations: count('destinations', sizes.manyDestinations),
      manyPending: count('pending', sizes.manyPending),
    },
    takesCpuProfiles: flags['cpu-profile'],
    workers: flags.workers === undefined ? undefined : count('workers', 0),
    against: flags.against === undefined ? undefined : resolve(flags.against, 'dist/src/main.js'),
  };
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      profile: { type: 'string', default: 'sqlite' },
      scenario: { type: 'string', multiple: true },
      smoke: { type: 'boolean', default: false },
      'cpu-profile': { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      destinations: { type: 'string' },
      workers: { type: 'string' },
      finished: { type: 'string' },
      backlog: { type: 'string' },
      accounts: { type: 'string' },
      pending: { type: 'string' },
      against: { type: 'string' },
    },
  });
  return values;
}

function oneOf<Name extends string>(flag: string, names: readonly Name[], text: string): Name {
  const found = names.find((one) => one === text);
  if (found === undefined) {
    throw new UsageError(`--${flag} must be one of ${names.join(', ')}.`);
  }
  return found;
}

function countOf(flag: string, text: string | undefined, otherwise: number): number {
  const count = Number(text ?? otherwise);
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new UsageError(`--${flag} must be a whole number.`);
  }
  return count;
}
