import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReleaseStack } from '../src/release-stack.ts';
import { type CpuProfile, type TimeWindow, topSelfTimes } from './profile.ts';
import { Server } from './server.ts';
import type { Sizes } from './sizes.ts';

const PROFILES = join('data', 'bench-profiles');

export type MeasureName = 'accept' | 'deliver' | 'latency';

/** What the measures share: how much to do, where files go, and what has to be cleaned up. */
export class Context {
  readonly sizes: Sizes;
  readonly cleanUp: ReleaseStack;
  readonly #folder: string;
  readonly #isProfiling: boolean;
  readonly #windows = new Map<MeasureName, TimeWindow[]>();

  constructor(options: { sizes: Sizes; cleanUp: ReleaseStack; folder: string; isProfiling: boolean }) {
    this.sizes = options.sizes;
    this.cleanUp = options.cleanUp;
    this.#folder = options.folder;
    this.#isProfiling = options.isProfiling;
  }

  folderOf(measure: MeasureName): string {
    return join(this.#folder, measure);
  }

  /** A server on an empty database of its own. */
  async startServer(measure: MeasureName): Promise<Server> {
    const folder = this.folderOf(measure);
    mkdirSync(folder);
    const server = new Server({ folder, profile: this.#isProfiling });
    this.cleanUp.add(() => server.stop());
    await server.ready();
    return server;
  }

  /** Marks the work as the part of a measure that a profile is to show. */
  async profiled(measure: MeasureName, work: () => Promise<void>): Promise<void> {
    const fromUs = nowUs();
    await work();
    this.addProfileWindow(measure, { fromUs, toUs: nowUs() });
  }

  addProfileWindow(measure: MeasureName, window: TimeWindow): void {
    this.#windows.set(measure, [...(this.#windows.get(measure) ?? []), window]);
  }

  /** What each thread of a measure's server spent its time on; nothing when no profile was taken. */
  profilesOf(measure: MeasureName): string[] {
    if (!this.#isProfiling) {
      return [];
    }
    mkdirSync(PROFILES, { recursive: true });
    const folder = this.folderOf(measure);
    return readdirSync(folder).flatMap((name) => {
      // V8 names the file after the date, the time, the process, the thread, and a running number.
      const thread = /^CPU\.\d+\.\d+\.\d+\.(\d+)\..*cpuprofile$/u.exec(name)?.[1];
      return thread === undefined ? [] : [this.#keptProfile(measure, join(folder, name), thread)];
    });
  }

  #keptProfile(measure: MeasureName, file: string, thread: string): string {
    const kept = join(PROFILES, `${measure}-thread-${thread}.cpuprofile`);
    copyFileSync(file, kept);
    const profile = JSON.parse(readFileSync(kept, 'utf8')) as CpuProfile;
    return `${topSelfTimes(profile, this.#windows.get(measure) ?? [])}\n  The whole profile of thread ${thread} is in ${kept}.`;
  }
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
