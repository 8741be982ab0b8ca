import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createTemporaryDatabase, TEST_DATABASE_URL, type TemporaryDatabase } from '../support/postgresql.ts';
import { describeWhere } from '../support/requirement.ts';
import { PROGRAM, type ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const TOKEN_OF = 'query ($id: ID!) { account(id: $id) { appSecretToken destinations { headers } } }';

describeWhere(
  TEST_DATABASE_URL !== undefined,
  'PostgreSQL: npm run services, then TEST_DATABASE_URL=<its DATABASE_URL>',
)('the key of a database that processes share', () => {
  const [old, fresh] = [newKey(), newKey()];
  let bench: Workbench;
  let database: TemporaryDatabase;

  beforeEach(async () => {
    bench = new Workbench();
    database = await createTemporaryDatabase(TEST_DATABASE_URL ?? '');
  });
  afterEach(async () => {
    await bench.clear();
    await database.drop();
  });

  const variables = (ENCRYPTION_KEY: string) => ({ DATABASE_URL: database.url, ENCRYPTION_KEY, SHUTDOWN_DELAY: '0s' });

  test('has to be named: none is made beside the program', async () => {
    const refused = bench.spawn(variables(''), { cwd: bench.folder });
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(/^[^\n]* the same ENCRYPTION_KEY: [^\n]* openssl rand -base64 32[^\n]*\n$/u);
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  test('is that of the first start: a process with another one is refused in one line, before there is any secret', async () => {
    const first = await bench.start(variables(old));
    const refused = bench.spawn(variables(fresh));
    expect(await refused.exited).toEqual({ code: 1, signal: null });
    expect(refused.stderr).toMatch(/^The database is encrypted with the key [^\n]* ENCRYPTION_KEY[^\n]*\n$/u);
    await first.createAccount();
  });

  test('of two first starts with different keys one is refused', async () => {
    const servers = [old, fresh].map((key) => bench.spawn(variables(key)));
    const outcomes = await Promise.all(
      servers.map((server) =>
        server.ready().then(
          () => 'ready',
          () => 'refused',
        ),
      ),
    );
    expect(outcomes.toSorted()).toEqual(['ready', 'refused']);
  });

  test('is changed step by step, and at no time one process cannot read what the other has written', async () => {
    const receiver = await bench.receiver();
    let servers: readonly ServerProcess[] = [await bench.start(variables(old)), await bench.start(variables(old))];
    const ids: string[] = [];
    const check = async (): Promise<void> => {
      for (const server of servers) {
        const { id, token } = await server.createAccount();
        await server.createDestination(id, receiver.url(), { headers: { 'X-Secret': token } });
        await server.sendAccepted(token, '{}');
        ids.push(id);
      }
      await receiver.arrived(ids.length);
      for (const [server, id] of servers.flatMap((one) => ids.map((each) => [one, each] as const))) {
        const { account } = await server.data(TOKEN_OF, { id });
        expect(account.destinations).toEqual([{ headers: { 'X-Secret': account.appSecretToken } }]);
      }
    };
    const restartInTurn = async (keys: string): Promise<void> => {
      for (const server of servers) {
        await server.end();
        servers = [...servers.filter((one) => one !== server), await bench.start(variables(keys))];
        await check();
      }
    };
    await restartInTurn(`${old},${fresh}`);
    await restartInTurn(`${fresh},${old}`);
    const command = [process.execPath, PROGRAM, 'rotate-keys'];
    expect(await bench.spawn(variables(`${fresh},${old}`), { command }).exited).toEqual({ code: 0, signal: null });
    await restartInTurn(fresh);

    const refused = bench.spawn(variables(old));
    expect(await refused.exited).toEqual({ code: 1, signal: null });
  }, 120_000);
});

function newKey(): string {
  return randomBytes(32).toString('base64');
}
