import { constants } from 'node:os';
import { type App, startApp } from '../app.ts';
import { ConfigError, loadConfig } from '../config/config.ts';
import { VaultError } from '../core/vault.ts';
import { CopyError } from '../storage/copy-store.ts';
import { DatabaseFileError, NewerDatabaseError } from '../storage/errors.ts';
import { DatabaseServerError } from '../storage/postgresql/connection.ts';
import { DatabaseInUseError } from '../storage/sqlite/file.ts';

/** Runs the command that the command line names; without one, the server. */
export async function run([name, ...options]: readonly string[]): Promise<void> {
  try {
    await commandOf(name)(options);
  } catch (error) {
    process.stderr.write(`${startupError(error)}\n`);
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
      return async (options) => (await import('./migrate.ts')).migrateStore(options);
    default:
      throw new ConfigError(
        `There is no command "${name}"; there are migrate, migrate-store and rotate-keys, and none to serve.`,
      );
  }
}

/** Serves until a signal arrives. */
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

/** npm forwards a signal that the terminal has already sent to the process. Within this time it is the same signal. */
const REPETITION_MS = 1_000;

/** Resolves at the first signal. A later one ends the process at once. */
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

/** The message on standard output after the start. */
function welcome(app: Pick<App, 'urls' | 'isEmpty' | 'isOpen' | 'servesApi'>): string {
  const { urls, isEmpty, isOpen, servesApi } = app;
  if (!servesApi) {
    return `Data Pusher makes deliveries.\n  Health   ${urls.health}/ready\n`;
  }
  const access = isOpen
    ? '  Access   all programs on this machine are the administrator; ADMIN_TOKEN would change that\n'
    : '';
  const addresses = `Data Pusher is ready.\n  GraphQL  ${urls.graphql}\n  Ingest   ${urls.ingest}\n${access}`;
  return isEmpty ? `${addresses}\n${firstSteps(urls, isOpen)}` : addresses;
}

/** Each command stores the next one's input in a shell variable, so all can be pasted unchanged. */
function firstSteps({ graphql, ingest, health }: App['urls'], isOpen: boolean): string {
  const administrator = isOpen ? '' : ` -H "Authorization: Bearer $ADMIN_TOKEN"`;
  const json = `-H 'Content-Type: application/json'`;
  const create = `{"query":"mutation { createAccount(input: { email: \\"me-'$(date +%s)-$RANDOM'@example.com\\", name: \\"Me\\" }) { id appSecretToken } }"}`;
  const add = `{"query":"mutation Add($id: ID!, $url: String!) { createDestination(input: { accountId: $id, url: $url, httpMethod: GET, headers: { Authorization: \\"secret\\" } }) { id url } }", "variables": {"id": "'$ID'", "url": "${health}/live"}}`;
  return [
    'Nothing is stored yet. Three commands to begin with (the destination is a page of this server, which surely answers):',
    '',
    `  ACCOUNT=$(curl -s ${graphql} ${json}${administrator} -d '${create}'); echo "$ACCOUNT"`,
    '',
    `  ID=$(echo "$ACCOUNT" | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); curl -s ${graphql} ${json}${administrator} -d '${add}'`,
    '',
    `  TOKEN=$(echo "$ACCOUNT" | sed 's/.*Token":"\\([^"]*\\)".*/\\1/'); curl -s ${ingest} ${json} -H "CL-X-TOKEN: $TOKEN" -d '{"hello":"world"}'`,
    '',
    '',
  ].join('\n');
}

/** Their messages say in one line what is wrong and what to do. */
const FOR_THE_OPERATOR = [
  ConfigError,
  CopyError,
  DatabaseFileError,
  DatabaseInUseError,
  DatabaseServerError,
  NewerDatabaseError,
  VaultError,
];

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program; choose another PORT.',
  EACCES: 'may not be used by this user; choose a PORT above 1023.',
  EADDRNOTAVAIL: 'does not exist on this machine; choose another HOST.',
  ENOTFOUND: 'is unknown; choose another HOST.',
};

/** One line for errors that the operator can fix. Others keep their stack trace. */
function startupError(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  if (FOR_THE_OPERATOR.some((kind) => error instanceof kind)) {
    return error.message;
  }
  if ('code' in error && 'syscall' in error) {
    const address = 'address' in error ? [error.address] : [];
    const port = 'port' in error ? [error.port] : [];
    const reason = LISTEN_ERRORS[String(error.code)];
    return reason === undefined ? error.message : `The address ${[...address, ...port].join(':')} ${reason}`;
  }
  return error.stack ?? error.message;
}
