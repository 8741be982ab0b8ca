import { pino } from 'pino';
import { type App, type Overrides, startApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config/config.ts';
import { ApiClient } from './api-client.ts';
import { type Backing, createBacking } from './backing.ts';
import type { Intruder } from './intruder.ts';

export type { GraphQLAnswer } from './api-client.ts';

/** The whole application in this process, on a database of its own, spoken to over HTTP only. */
export class TestApp extends ApiClient {
  override readonly urls: App['urls'];
  /** What was logged, one JSON line each. */
  readonly logLines: string[];
  readonly #app: App;
  readonly #backing: Backing;

  private constructor(app: App, logLines: string[], backing: Backing) {
    super();
    this.#app = app;
    this.urls = app.urls;
    this.logLines = logLines;
    this.#backing = backing;
  }

  /** @param variables environment variables; the port and the database are chosen unless they are given. */
  static async start(variables: Record<string, string> = {}, overrides: Overrides = {}): Promise<TestApp> {
    const backing = await createBacking();
    const config = parseConfig({ PORT: '0', ...backing.variables, ...variables });
    const logLines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void logLines.push(line) });
    const app = await startApp(config, { log, ...overrides });
    return new TestApp(app, logLines, backing);
  }

  /** A connection to the same database, past the application. */
  intrude(): Promise<Intruder> {
    return this.#backing.intrude();
  }

  async stop(): Promise<void> {
    await this.#app.stop();
    await this.#backing.drop();
  }
}
