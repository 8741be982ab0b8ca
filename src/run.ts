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
  await signal;
  await app.stop();
}

/** The handlers stay: npm passes on a signal that the terminal has sent already, and the second must not cut the stop short. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve()).on('SIGINT', () => resolve());
  });
}
