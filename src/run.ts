import { startApp } from './app.ts';
import { ConfigError, loadConfig } from './config.ts';
import { DatabaseFileError } from './storage/file-error.ts';
import { DatabaseInUseError } from './storage/sqlite/sole-owner.ts';
import { welcome } from './welcome.ts';

/** Runs the server until a signal ends it. What an operator can mend is told in one line, without a stack trace. */
export async function run(): Promise<void> {
  try {
    const config = loadConfig();
    const app = await startApp(config);
    const signal = stopSignal();
    process.stdout.write(welcome(app));
    await signal;
    await app.stop();
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exitCode = 1;
  }
}

/** The handlers stay: npm passes on a signal that the terminal has sent already, and the second must not cut the stop short. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve()).on('SIGINT', () => resolve());
  });
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program; choose another PORT.',
  EACCES: 'may not be used by this user; choose a PORT above 1023.',
  EADDRNOTAVAIL: 'does not exist on this machine; choose another HOST.',
  ENOTFOUND: 'is unknown; choose another HOST.',
};

function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof DatabaseInUseError || error instanceof DatabaseFileError) {
    return error.message;
  }
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    const { address, port } = error as { address?: string; port?: number };
    const place = [address, port].filter((part) => part !== undefined).join(':');
    const reason = LISTEN_ERRORS[String(error.code)];
    return reason === undefined ? error.message : `The address ${place} ${reason}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
