/**
 * Loaded into a process before the program (`--import`): its threads die when the file that `MORTAL_THREADS` names
 * is made.
 */
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const file = process.env['MORTAL_THREADS'];

if (!isMainThread && file !== undefined) {
  watch(dirname(file), { persistent: false }, (_event, name) => {
    if (name === basename(file)) {
      throw new Error('The test wants it.');
    }
  });
}
