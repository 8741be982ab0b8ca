import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/src/main.js', import.meta.url));
/** It is ready in about a second; a server that hangs must not hang the benchmark. */
const READY_WITHIN_MS = 30_000;
/** The server has 10 seconds of its own to stop in. */
const KILL_AFTER_MS = 15_000;

export interface ServerOptions {
  /** Gets the database, and the CPU profile when one is taken. */
  readonly folder: string;
  readonly profile: boolean;
}

/** The built server as a process of its own, with the settings it has by default. */
export class Server {
  readonly #child: ChildProcess;
  #urls: { readonly graphql: string; readonly ingest: string } | undefined;

  constructor({ folder, profile }: ServerOptions) {
    const flags = profile ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : [];
    this.#child = spawn(process.execPath, [...flags, MAIN], {
      env: { ...process.env, PORT: '0', DATABASE_URL: `sqlite:${join(folder, 'bench.db')}`, LOG_LEVEL: 'warn' },
      stdio: ['ignore', 'pipe', 'inherit'],
      // Out of reach of the terminal's Ctrl-C: the benchmark stops it.
      detached: true,
    });
  }

  async ready(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), READY_WITHIN_MS);
    let printed = '';
    for await (const line of createInterface({ input: this.#child.stdout as Readable })) {
      printed += `${line}\n`;
      const { graphql, ingest } = /GraphQL +(?<graphql>\S+)\n +Ingest +(?<ingest>\S+)\n/u.exec(printed)?.groups ?? {};
      if (graphql !== undefined && ingest !== undefined) {
        clearTimeout(timer);
        this.#urls = { graphql, ingest };
        return;
      }
    }
    clearTimeout(timer);
    throw new Error(`The server was not ready within ${READY_WITHIN_MS} ms.`);
  }

  get ingestUrl(): string {
    return this.#urls?.ingest ?? '';
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return;
    }
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS);
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
    clearTimeout(timer);
  }

  async createAccount(): Promise<{ id: string; token: string }> {
    const { createAccount } = await this.#graphql<{ createAccount: { id: string; appSecretToken: string } }>(
      'mutation { createAccount(input: { email: "bench@example.com", name: "Bench" }) { id appSecretToken } }',
    );
    return { id: createAccount.id, token: createAccount.appSecretToken };
  }

  async createDestination(accountId: string, url: string): Promise<string> {
    const { createDestination } = await this.#graphql<{ createDestination: { id: string } }>(
      `mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }`,
      { input: { accountId, url, httpMethod: 'POST', headers: { 'X-Bench': '1' } } },
    );
    return createDestination.id;
  }

  async storedEvents(accountId: string): Promise<number> {
    const { account } = await this.#graphql<{ account: { events: { totalCount: number } } }>(
      'query ($id: ID!) { account(id: $id) { events(first: 1) { totalCount } } }',
      { id: accountId },
    );
    return account.events.totalCount;
  }

  async deliveries(destinationId: string, status: 'PENDING' | 'SUCCEEDED'): Promise<number> {
    const { destination } = await this.#graphql<{ destination: { deliveries: { totalCount: number } } }>(
      `query ($id: ID!, $status: DeliveryStatus!) {
        destination(id: $id) { deliveries(first: 1, status: $status) { totalCount } }
      }`,
      { id: destinationId, status },
    );
    return destination.deliveries.totalCount;
  }

  async #graphql<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const response = await fetch(this.#urls?.graphql ?? '', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data: Data; errors?: unknown };
    if (errors !== undefined) {
      throw new Error(`GraphQL refused: ${JSON.stringify(errors)}`);
    }
    return data;
  }
}
