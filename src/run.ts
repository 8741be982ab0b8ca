import { constants } from 'node:os';
import { startApp } from './app.ts';
import { ConfigError, loadConfig } from './config.ts';
import { explain } from './explain.ts';
import { welcome } from './welcome.ts';

/** Runs what the command line asks for: the server, unless it names a command. */
export async function run([name, ...options]: readonly string[]): Promise<void> {
  try {
    await commandOf(name)(options);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exitCode = 1;
  }
}

type Command = (options: readonly string[]) => Promise<void>;

function commandOf(name: string | undefined): Command {
  switch (name) {
    case undefined:
      return serve;
    case 'migrate':
      return async () => (await import('./migrate.ts')).migrate();
    case 'rotate-keys':
      return async () => (await import('./rotate-keys.ts')).rotateKeys();
    case 'migrate-store':
      return async (options) => (await import('./migrate-store.ts')).migrateStore(options);
    default:
      throw new ConfigError(
        `There is no command "${name}"; there are migrate, migrate-store and rotate-keys, and none to serve.`,
      );
  }
}

/** Serves until a signal ends it. */
async function serve(): Promise<void> {
  const app = await startApp(loadConfig());
  const signal = stopSignal();
  process.stdout.write(welcome(app));
  const death = await Promise.race([signal, app.died]);
  if (death !== undefined) {
    endAtOnce(death.message, 1);
  }
  await app.stop();
}

/** npm passes on a signal that the terminal has sent already: what comes so soon after the first is no second wish. */
const REPETITION_MS = 1_000;

/** Resolves at the first signal; a later one ends the process at once. */
function stopSignal(): Promise<undefined> {
  let first: number | undefined;
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      first ??= performance.now();
      resolve(undefined);
      if (performance.now() - first > REPETITION_MS) {
        endAtOnce(`Ended by a second ${signal}, before the stop was complete.`, 128 + constants.signals[signal]);
      }
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  });
}

function endAtOnce(reason: string, code: number): never {
  process.stderr.write(`${reason}\n`);
  process.exit(code);
}
