import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type App, type Overrides, startApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { ApiClient } from './api-client.ts';

export type { GraphQLAnswer } from './api-client.ts';

/** The whole application in this process, on a database file of its own, spoken to over HTTP only. */
export class TestApp extends ApiClient {
  override readonly urls: App['urls'];
  /** What was logged, one JSON line each. */
  readonly logLines: string[];
  readonly #app: App;
  readonly #cleanUp: () => void;

  private constructor(app: App, logLines: string[], cleanUp: () => void) {
    super();
    this.#app = app;
    this.urls = app.urls;
    this.logLines = logLines;
    this.#cleanUp = cleanUp;
  }

  /** @param variables environment variables; the port and the database are chosen unless they are given. */
  static async start(variables: Record<string, string> = {}, overrides: Overrides = {}): Promise<TestApp> {
    const folder = mkdtempSync(join(tmpdir(), 'data-pusher-test-'));
    const config = parseConfig({ PORT: '0', DATABASE_URL: `sqlite:${join(folder, 'test.db')}`, ...variables });
    const logLines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void logLines.push(line) });
    const app = await startApp(config, { log, ...overrides });
    return new TestApp(app, logLines, () => rmSync(folder, { recursive: true, force: true }));
  }

  async stop(): Promise<void> {
    await this.#app.stop();
    this.#cleanUp();
  }
}
