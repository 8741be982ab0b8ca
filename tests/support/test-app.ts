import { pino } from 'pino';
import { type App, type Overrides, startApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { ApiClient } from './api-client.ts';
import { createBacking } from './backing.ts';

export type { GraphQLAnswer } from './api-client.ts';

/** The whole application in this process, on a database of its own, spoken to over HTTP only. */
export class TestApp extends ApiClient {
  override readonly urls: App['urls'];
  /** What was logged, one JSON line each. */
  readonly logLines: string[];
  readonly #app: App;
  readonly #cleanUp: () => Promise<void>;

  private constructor(app: App, logLines: string[], cleanUp: () => Promise<void>) {
    super();
    this.#app = app;
    this.urls = app.urls;
    this.logLines = logLines;
    this.#cleanUp = cleanUp;
  }

  /** @param variables environment variables; the port and the database are chosen unless they are given. */
  static async start(variables: Record<string, string> = {}, overrides: Overrides = {}): Promise<TestApp> {
    const backing = await createBacking();
    const config = parseConfig({ PORT: '0', ...backing.variables, ...variables });
    const logLines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void logLines.push(line) });
    const app = await startApp(config, { log, ...overrides });
    return new TestApp(app, logLines, backing.drop);
  }

  async stop(): Promise<void> {
    await this.#app.stop();
    await this.#cleanUp();
  }
}
