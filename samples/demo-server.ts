import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/src/main.js', import.meta.url));

/** The built server in a process of its own, at a free port. */
export class DemoServer {
  readonly graphqlUrl: string;
  readonly ingestUrl: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, graphqlUrl: string, ingestUrl: string) {
    this.#child = child;
    this.graphqlUrl = graphqlUrl;
    this.ingestUrl = ingestUrl;
  }

  /** @param settings environment variables of the server. */
  static async start(settings: Record<string, string>): Promise<DemoServer> {
    const child = spawn(process.execPath, [MAIN], {
      env: { ...process.env, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn', ...settings },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    for await (const line of createInterface({ input: child.stdout })) {
      printed += `${line}\n`;
      const { graphql, ingest } = /GraphQL +(?<graphql>\S+)\n +Ingest +(?<ingest>\S+)\n/u.exec(printed)?.groups ?? {};
      if (graphql !== undefined && ingest !== undefined) {
        return new DemoServer(child, graphql, ingest);
      }
    }
    throw new Error(`The server did not start.\n${printed}`);
  }

  /** @throws Error when the server refuses. */
  async graphql<Data>(query: string, variables: Record<string, unknown>): Promise<Data> {
    const response = await fetch(this.graphqlUrl, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data: Data; errors?: readonly { message: string }[] };
    if (errors !== undefined) {
      throw new Error(errors.map(({ message }) => message).join(' '));
    }
    return data;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
  }
}
