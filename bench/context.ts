import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReleaseStack } from '../src/core/release-stack.ts';
import { type Backing, createBacking, type Profile } from './backing.ts';
import { type CpuProfile, type TimeWindow, topSelfTimes } from './cpu-profile.ts';
import { Installation, type InstallationOptions } from './installation.ts';
import type { Options, Scenario } from './options.ts';
import { allCores, type Shape } from './shape.ts';
import type { Sizes } from './sizes.ts';

const CPU_PROFILES = join('data', 'bench-profiles');

interface ContextOptions extends Options {
  readonly cleanUp: ReleaseStack;
  readonly folder: string;
}

/** What the measures share: how much to do, on what, where files go, and what has to be cleaned up. */
export class Context {
  readonly profile: Profile;
  readonly sizes: Sizes;
  readonly cleanUp: ReleaseStack;
  /** The processes that an installation has. */
  readonly shape: Shape;
  /** The program of another build, to be measured beside this one. */
  readonly against: string | undefined;
  readonly #folder: string;
  readonly #takesCpuProfiles: boolean;
  readonly #windows = new Map<Scenario, TimeWindow[]>();

  constructor({ profile, sizes, cleanUp, folder, takesCpuProfiles, workers, against }: ContextOptions) {
    this.profile = profile;
    this.sizes = sizes;
    this.cleanUp = cleanUp;
    this.shape = allCores(profile, workers);
    this.against = against;
    this.#folder = folder;
    this.#takesCpuProfiles = takesCpuProfiles;
  }

  /** For files of a measure's own. */
  folderOf(measure: Scenario): string {
    const folder = join(this.#folder, measure);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async createBacking(measure: Scenario, name = 'store'): Promise<Backing> {
    const backing = await createBacking(this.profile, join(this.folderOf(measure), name));
    this.cleanUp.add(() => backing.drop());
    return backing;
  }

  /** @param measure whose CPU profiles are to show this installation */
  async start(
    backing: Backing,
    shape: Shape,
    { measure, ...options }: Pick<InstallationOptions, 'program' | 'variables'> & { readonly measure?: Scenario } = {},
  ): Promise<Installation> {
    const installation = new Installation({
      ...options,
      backing,
      shape,
      ...(this.#takesCpuProfiles && measure !== undefined && { cpuProfileFolder: this.folderOf(measure) }),
    });
    this.cleanUp.add(() => installation.stop());
    await installation.ready();
    return installation;
  }

  /** Marks the work as the part of a measure that a CPU profile is to show. */
  async profiled(measure: Scenario, work: () => Promise<void>): Promise<void> {
    const fromUs = nowUs();
    await work();
    this.addProfileWindow(measure, { fromUs, toUs: nowUs() });
  }

  addProfileWindow(measure: Scenario, window: TimeWindow): void {
    this.#windows.set(measure, [...(this.#windows.get(measure) ?? []), window]);
  }

  /** What each thread of a measure's processes spent its time on; nothing when no profile was taken. */
  cpuProfilesOf(measure: Scenario): string[] {
    if (!this.#takesCpuProfiles) {
      return [];
    }
    mkdirSync(CPU_PROFILES, { recursive: true });
    const folder = this.folderOf(measure);
    return readdirSync(folder).flatMap((name) => {
      // V8 names the file after the date, the time, the process, the thread, and a running number.
      const [, pid, thread] = /^CPU\.\d+\.\d+\.(\d+)\.(\d+)\..*cpuprofile$/u.exec(name) ?? [];
      return pid === undefined || thread === undefined
        ? []
        : [this.#kept(measure, join(folder, name), `process-${pid}-thread-${thread}`)];
    });
  }

  #kept(measure: Scenario, file: string, place: string): string {
    const kept = join(CPU_PROFILES, `${measure}-${place}.cpuprofile`);
    copyFileSync(file, kept);
    const cpuProfile = JSON.parse(readFileSync(kept, 'utf8')) as CpuProfile;
    return `${topSelfTimes(cpuProfile, this.#windows.get(measure) ?? [])}\n  The whole profile is in ${kept}.`;
  }
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
