import type { IncomingMessage } from 'node:http';
import type { Holding } from './holding.ts';
import type { PayloadCheck } from './payload-check.ts';
import { Refusal } from './refusal.ts';

export interface Reception {
  readonly holding: Holding;
  /** Gets the bytes as they come. */
  readonly take: (chunk: Buffer) => void;
  /** Absent where what comes is not the payload itself. */
  readonly check: PayloadCheck | undefined;
  readonly maxBytes: number;
}

/**
 * Reads a body that is not longer than so many bytes.
 *
 * @returns false for one that is longer, as soon as that is known; the request is paused then.
 * @throws Refusal as soon as the check knows, or when the memory is taken back
 */
export function receive(request: IncomingMessage, { holding, take, check, maxBytes }: Reception): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let length = 0;
    const stop = (): void => {
      request.off('data', onData).off('end', onEnd).off('aborted', onAborted);
      holding.onTakenBack = () => {};
    };
    const fail = (cause: unknown): void => {
      stop();
      reject(cause);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      holding.add(chunk.length);
      take(chunk);
      try {
        check?.write(chunk);
      } catch (error) {
        fail(error);
        return;
      }
      if (length > maxBytes) {
        request.pause();
        stop();
        resolve(false);
      }
    };
    const onEnd = (): void => {
      holding.onTakenBack = () => {};
      holding.arrived();
      resolve(true);
    };
    // The connection is gone: nobody reads the answer.
    const onAborted = (): void => fail(Refusal.invalid('The body ended early.'));
    if (request.destroyed && !request.complete) {
      onAborted();
      return;
    }
    holding.onTakenBack = fail;
    request.on('data', onData).once('end', onEnd).once('aborted', onAborted).resume();
  });
}
