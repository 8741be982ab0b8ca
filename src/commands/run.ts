import { constants } from 'node:os';
import { type App, startApp } from '../app.ts';
import { ConfigError, loadConfig } from '../config/config.ts';
import { VaultError } from '../core/vault.ts';
import { CopyError } from '../storage/copy-store.ts';
import { DatabaseFileError, NewerDatabaseError } from '../storage/errors.ts';
import { DatabaseServerError } from '../storage/postgresql/connection.ts';
import { DatabaseInUseError } from '../storage/sqlite/file.ts';

/** Runs what the command line asks for: the server, unless it names a command. */
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

/** What the program says to the person who started it. */
export function welcome(app: Pick<App, 'urls' | 'isEmpty' | 'isOpen' | 'servesApi'>): string {
  const { urls, isEmpty, isOpen, servesApi } = app;
  if (!servesApi) {
    return `Data Pusher makes deliveries.\n  Health   ${urls.health}/ready\n`;
  }
  const access = isOpen
    ? '  Access   all programs on this machine are the administrator; ADMIN_TOKEN would change that\n'
    : '';
  const places = `Data Pusher is ready.\n  GraphQL  ${urls.graphql}\n  Ingest   ${urls.ingest}\n${access}`;
  return isEmpty ? `${places}\n${firstSteps(urls, isOpen)}` : places;
}

/** Each command leaves what the next one needs in a shell variable, so that all can be pasted as they are. */
function firstSteps({ graphql, ingest, health }: App['urls'], isOpen: boolean): string {
  const administrator = isOpen ? '' : ` -H "Authorization: Bearer $ADMIN_TOKEN"`;
  const json = `-H 'Content-Type: application/json'`;
  const create = `{"query":"mutation { createAccount(input: { email: \\"me@example.com\\", name: \\"Me\\" }) { id appSecretToken } }"}`;
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

/** What is wrong and what to do about it, in one line. */
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

/** What an operator can mend is told in one line; anything else with its stack trace. */
export function startupError(error: unknown): string {
  if (FOR_THE_OPERATOR.some((kind) => error instanceof kind)) {
    return (error as Error).message;
  }
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    const { address, port } = error as { address?: string; port?: number };
    const place = [address, port].filter((part) => part !== undefined).join(':');
    const reason = LISTEN_ERRORS[String(error.code)];
    return reason === undefined ? error.message : `The address ${place} ${reason}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
