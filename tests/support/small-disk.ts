import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of a few MiB in memory, that a test can fill up. Mounting takes root. */
export class SmallDisk {
  readonly path = mkdtempSync(join(tmpdir(), 'data-pusher-disk-'));
  readonly isMounted: boolean;

  constructor(sizeMib: number) {
    this.isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', this.path]).status === 0;
  }

  /** Leaves no free page. */
  fill(): void {
    const file = openSync(this.#ballast, 'w');
    const page = Buffer.alloc(4096);
    try {
      for (;;) {
        writeSync(file, page);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') {
        throw error;
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  unmount(): void {
    if (this.isMounted) {
      spawnSync('umount', [this.path]);
    }
    rmSync(this.path, { recursive: true, force: true });
  }

  get #ballast(): string {
    return join(this.path, 'ballast');
  }
}
