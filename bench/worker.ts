import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** No call takes longer unless something is lost, such as a delivery that is waited for. */
const ANSWER_WITHIN_MS = 600_000;

/** What a worker process can be asked to do: named functions with one argument each. */
// oxlint-disable-next-line typescript/no-explicit-any -- each call has its own argument
export type Calls = Record<string, (argument: any) => unknown>;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** The worker's end: answers calls until the parent goes away, however that ends. */
export function serveCalls(calls: Calls): void {
  process.on('message', (question: Question) => {
    void answerOf(calls, question).then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => process.exit());
  // A terminal sends Ctrl-C to all processes; the parent decides when this one ends.
  process.on('SIGINT', () => undefined);
}

async function answerOf(calls: Calls, { id, name, argument }: Question): Promise<Answer> {
  try {
    return { id, result: await calls[name]?.(argument) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** The parent's end of a process that takes part in a measurement. */
export class Worker<Served extends Calls> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  /** @param file the name of a file in this folder that serves the calls */
  constructor(file: string) {
    this.#child = fork(new URL(file, import.meta.url));
    this.#child.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) {
        waiting?.resolve(result);
      } else {
        waiting?.reject(new Error(`${file}: ${error}`));
      }
    });
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`${file} has ended before it answered.`));
      }
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  call<Name extends keyof Served & string>(
    name: Name,
    ...[argument]: Parameters<Served[Name]>
  ): Promise<Awaited<ReturnType<Served[Name]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`The call ${name} was not answered within ${ANSWER_WITHIN_MS} ms.`)),
        ANSWER_WITHIN_MS,
      );
      this.#waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result as Awaited<ReturnType<Served[Name]>>);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.send({ id, name, argument } satisfies Question, (error) => error && reject(error));
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
  }
}
