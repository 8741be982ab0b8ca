import { GraphqlClient } from './graphql-client.ts';
import type { Backing } from './backing.ts';
import { Server, type Urls } from './server.ts';
import type { Shape } from './shape.ts';

export interface InstallationOptions {
  readonly backing: Backing;
  readonly shape: Shape;
  /** Of another build than this one. */
  readonly program?: string | undefined;
  /** Settings besides those of the backing and the shape. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Gets the CPU profiles of its processes, if they are taken. */
  readonly cpuProfileFolder?: string;
}

/** The processes that share one store; to callers it is one server. */
export class Installation {
  readonly #servers: readonly Server[];
  #urls: Urls | undefined;

  constructor({ backing, shape, program, variables: more, cpuProfileFolder }: InstallationOptions) {
    const flags = cpuProfileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfileFolder}`];
    this.#servers = shape.processes.map(
      (variables) => new Server({ ...backing.variables, ...variables, ...more }, flags, program),
    );
  }

  async ready(): Promise<void> {
    const urls = await Promise.all(this.#servers.map((server) => server.ready()));
    this.#urls = urls.find((one) => one !== undefined);
  }

  get ingestUrl(): string {
    return this.#urls?.ingest ?? '';
  }

  get graphql(): GraphqlClient {
    return new GraphqlClient(this.#urls?.graphql ?? '');
  }

  get pids(): readonly number[] {
    return this.#servers.map(({ pid }) => pid);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}
