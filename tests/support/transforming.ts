import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { pino } from 'pino';
import { type Transformed, Transformer } from '../../src/transform/transformer.ts';
import { Telemetry } from '../../src/observe/telemetry.ts';

/** A transformer, the processes that it has started, and what it has logged. */
export class Transforming {
  readonly transformer: Transformer;
  readonly processes: ChildProcess[] = [];
  readonly logged: { level: number; msg: string; reason?: string }[] = [];

  constructor(options: { idleMs?: number } = {}) {
    // Node tells of every process that is made.
    subscribe('child_process', this.#onProcess);
    const log = pino({ level: 'trace' }, { write: (line: string) => void this.logged.push(JSON.parse(line)) });
    this.transformer = new Transformer({ ...options, telemetry: new Telemetry(log) });
  }

  readonly #onProcess = (message: unknown): void => {
    this.processes.push((message as { process: ChildProcess }).process);
  };

  get running(): ChildProcess[] {
    return this.processes.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  }

  async transform(
    expression: string,
    payload: unknown = {},
    { accountId = 'account', destinationId = 'destination' } = {},
  ): Promise<Transformed | undefined> {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    return this.transformer.transform({ accountId, destinationId, expression, payload: Buffer.from(text) });
  }

  /** The result's text, or the reason behind "failed: ". */
  async textOf(...transformation: Parameters<Transforming['transform']>): Promise<string> {
    const result = await this.transform(...transformation);
    if (result === undefined) {
      return 'closed';
    }
    return 'body' in result ? result.body.toString() : `failed: ${result.failure}`;
  }

  async stop(): Promise<void> {
    const { running } = this;
    const ended = running.map((child) => once(child, 'exit'));
    this.transformer.close();
    await Promise.all(ended);
    unsubscribe('child_process', this.#onProcess);
  }
}
