import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const FEW = 2;
/** Its square is what one statement looks up at most. */
const MANY = 10;

/** A database of its own for each size, so that the same query finds two or twenty of everything. */
interface Sized {
  readonly app: TestApp;
  readonly accountId: string;
  readonly statements: string[];
}

let receiver: Receiver;
let few: Sized;
let many: Sized;

beforeAll(async () => {
  receiver = await Receiver.start();
  few = await appWith(FEW);
  many = await appWith(MANY);
});

afterAll(async () => {
  await few.app.stop();
  await many.app.stop();
  await receiver.stop();
});

/** So many accounts, and at the last of them so many destinations, and events that have reached all of them. */
async function appWith(count: number): Promise<Sized> {
  const statements: string[] = [];
  const app = await TestApp.start({}, { observeStatement: (statement) => void statements.push(statement) });
  for (let made = 1; made < count; made += 1) {
    const { id } = await app.createAccount();
    await app.createDestination(id, receiver.url());
  }
  const { id, token } = await app.createAccount();
  for (let made = 0; made < count; made += 1) {
    await app.createDestination(id, receiver.url());
  }
  for (let made = 0; made < count; made += 1) {
    await app.sendAccepted(token, '{}');
  }
  const query = 'query ($id: ID!) { account(id: $id) { events { nodes { deliveries { status } } } } }';
  await app.eventually(
    async () => (await app.data(query, { id })).account.events.nodes,
    (events) =>
      events.every(({ deliveries }: { deliveries: { status: string }[] }) =>
        deliveries.every(({ status }) => status === 'SUCCEEDED'),
      ),
  );
  return { app, accountId: id, statements };
}

/** The sweeper looks for due deliveries whenever it likes; only it asks by this name. */
function isOfTheRequest(statement: string): boolean {
  return /\bselect\b/i.test(statement) && !/\bwaiting\b/.test(statement);
}

async function statementsOf({ app, accountId, statements }: Sized, query: string): Promise<number> {
  statements.length = 0;
  await app.data(query, query.includes('$id') ? { id: accountId } : {});
  return statements.filter(isOfTheRequest).length;
}

describe('the number of SQL statements does not grow with the number of rows', () => {
  test.each([
    ['destinations of accounts', '{ accounts { nodes { destinations { url } } } }', 3],
    [
      'accounts of destinations of accounts',
      '{ accounts { totalCount nodes { destinations { account { destinations { headers } } } } } }',
      6,
    ],
    [
      'events with deliveries and attempts',
      'query ($id: ID!) { account(id: $id) { events { nodes { payload deliveries { status attempts { number } } } } } }',
      8,
    ],
    [
      'routes of events, with their destinations and deliveries',
      `query ($id: ID!) { account(id: $id) { events { nodes {
        type routes { outcome path destination { url } delivery { status } }
      } } } }`,
      7,
    ],
    [
      'events of accounts, with their counts',
      '{ accounts { nodes { events(first: 5) { totalCount nodes { payloadText account { name } } } } } }',
      8,
    ],
    [
      'deliveries of destinations of accounts, by status',
      `{ accounts { nodes { destinations { deliveries(first: 5, status: SUCCEEDED) {
        totalCount nodes { event { receivedAt } destination { url } attempts { statusCode } }
      } } } } }`,
      10,
    ],
  ] as [string, string, number][])('%s', async (_title, query, atMost) => {
    const forFew = await statementsOf(few, query);
    const forMany = await statementsOf(many, query);
    expect(forFew).toBeGreaterThan(0);
    expect(forMany).toBe(forFew);
    expect(forMany).toBeLessThanOrEqual(atMost);
  });
});
