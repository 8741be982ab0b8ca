import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const EVENTS = 130;
const PAGE =
  'edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount';

interface Page {
  readonly edges: { cursor: string; node: { id: string } }[];
  readonly nodes: { id: string }[];
  readonly pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string };
  readonly totalCount: number;
}
type List = (args: { first?: number | null; after?: string | null }) => Promise<Page>;

let app: TestApp;
let receiver: Receiver;
let account: { id: string; token: string };
let destinationId: string;
/** Newest first. */
let eventIds: string[];

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await Receiver.start();
  account = await app.createAccount();
  destinationId = await app.createDestination(account.id, receiver.url());
  eventIds = [];
  for (let count = 0; count < EVENTS; count += 1) {
    eventIds.unshift(await app.sendAccepted(account.token, '{}'));
  }
  await receiver.arrived(EVENTS);
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

const events: List = async (args) => {
  const query = `query ($id: ID!, $first: Int, $after: String) {
    account(id: $id) { events(first: $first, after: $after) { ${PAGE} } }
  }`;
  return (await app.data(query, { id: account.id, ...args })).account.events;
};

const deliveries: List = async (args) => {
  const query = `query ($id: ID!, $first: Int, $after: String) {
    destination(id: $id) { deliveries(first: $first, after: $after) { ${PAGE} } }
  }`;
  return (await app.data(query, { id: destinationId, ...args })).destination.deliveries;
};

const accounts: List = async (args) =>
  (await app.data(`query ($first: Int, $after: String) { accounts(first: $first, after: $after) { ${PAGE} } }`, args))
    .accounts;

/** Forward through the whole list, as the Relay specification has it. */
async function walk(list: List, first: number, betweenPages: () => Promise<unknown> = async () => {}): Promise<Page[]> {
  const pages: Page[] = [];
  let after: string | null = null;
  do {
    const page: Page = await list({ first, after });
    pages.push(page);
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
    await betweenPages();
  } while (after !== null);
  return pages;
}

function idsOf(pages: readonly Page[]): string[] {
  return pages.flatMap(({ nodes }) => nodes.map(({ id }) => id));
}

describe('a walk through more than 100 events', () => {
  test.each([100, 33, 13, 1])('gives every id once, newest first, in pages of %i', async (first) => {
    const pages = await walk(events, first);
    expect(idsOf(pages)).toEqual(eventIds);
    expect(pages).toHaveLength(Math.ceil(EVENTS / first));
    for (const [index, { edges, nodes, pageInfo, totalCount }] of pages.entries()) {
      expect(edges.map(({ node }) => node)).toEqual(nodes);
      expect(pageInfo.startCursor).toBe(edges[0]?.cursor);
      expect(pageInfo.endCursor).toBe(edges.at(-1)?.cursor);
      expect(pageInfo.hasPreviousPage).toBe(index > 0);
      expect(totalCount).toBe(EVENTS);
    }
  });

  test('goes on behind any cursor, also of an edge in the middle', async () => {
    const { edges } = await events({ first: 10 });
    const { nodes } = await events({ first: 3, after: edges[4]?.cursor ?? null });
    expect(nodes.map(({ id }) => id)).toEqual(eventIds.slice(5, 8));
  });

  test('of deliveries is newest first too', async () => {
    const pages = await walk(deliveries, 40);
    const ids = idsOf(pages);
    expect(new Set(ids).size).toBe(EVENTS);
    expect(ids).toEqual(ids.toSorted().toReversed());
    expect(pages[0]?.totalCount).toBe(EVENTS);
  });

  test('of accounts is in the order of their creation', async () => {
    const created = [account.id];
    for (let count = 0; count < 6; count += 1) {
      created.push((await app.createAccount()).id);
    }
    expect(idsOf(await walk(accounts, 2)).slice(0, 7)).toEqual(created);
  });

  test('has 20 to a page unless it says otherwise', async () => {
    const query = 'query ($id: ID!) { account(id: $id) { events { nodes { id } } } }';
    expect((await app.data(query, { id: account.id })).account.events.nodes).toHaveLength(20);
    expect((await events({ first: null })).nodes).toHaveLength(20);
  });

  test('may ask for no entries, only for the count', async () => {
    const page = await events({ first: 0 });
    expect(page).toMatchObject({ nodes: [], edges: [], totalCount: EVENTS });
    expect(page.pageInfo).toMatchObject({ hasNextPage: true, startCursor: null, endCursor: null });
  });

  test('filters deliveries by status', async () => {
    const query = `query ($id: ID!, $status: DeliveryStatus) {
      destination(id: $id) { deliveries(first: 5, status: $status) { totalCount nodes { status } } }
    }`;
    const ask = async (status: string) => (await app.data(query, { id: destinationId, status })).destination.deliveries;
    const succeeded = await app.eventually(
      () => ask('SUCCEEDED'),
      ({ totalCount }) => totalCount === EVENTS,
    );
    expect(succeeded.nodes).toEqual(Array.from({ length: 5 }, () => ({ status: 'SUCCEEDED' })));
    expect(await ask('FAILED')).toEqual({ totalCount: 0, nodes: [] });
  });

  test('is not disturbed by what another account has', async () => {
    const other = await app.createAccount();
    const id = await app.sendAccepted(other.token, '{}');
    const query = 'query ($id: ID!) { account(id: $id) { events { totalCount nodes { id } } } }';
    expect((await app.data(query, { id: other.id })).account.events).toEqual({ totalCount: 1, nodes: [{ id }] });
  });
});

async function refusal(field: string, args: string): Promise<unknown> {
  const nested = field.includes('{');
  const selection = `${field}(${args}) { totalCount } ${nested ? '}' : ''}`;
  const query = `query ($id: ID!, $destination: ID!) {
    ${selection} account(id: $id) { id } destination(id: $destination) { id }
  }`;
  const { errors } = await app.graphql(query, { id: account.id, destination: destinationId });
  return errors?.map(({ extensions }) => extensions);
}

describe('what a page refuses', () => {
  const fields = ['accounts', 'account(id: $id) { events', 'destination(id: $destination) { deliveries'];

  test.each(
    fields.flatMap((field) => ['101', '-1', '1000000', '2147483648', '1.5', '"10"', 'ALL'].map((n) => [field, n])),
  )('%s(first: %s)', async (field, first) => {
    expect(await refusal(field, `first: ${first}`)).toEqual([{ code: 'BAD_USER_INPUT', field: 'first' }]);
  });

  test.each(
    fields.flatMap((field) =>
      ['', ' ', 'nonsense', '0', 'eyJpZCI6MX0=', "' or 1=1 --", 'A'.repeat(3_000)].map((cursor) => [field, cursor]),
    ),
  )('%s(after: %j)', async (field, cursor) => {
    const expected = [{ code: 'BAD_USER_INPUT', field: 'after' }];
    expect(await refusal(field, `after: ${JSON.stringify(cursor)}`)).toEqual(expected);
  });
});

// Last, because it adds to the lists the other tests count.
test('a walk is stable while new events arrive: they are ahead of it, and nothing is shifted', async () => {
  const pages = await walk(events, 13, () => app.sendAccepted(account.token, '{}'));
  expect(idsOf(pages)).toEqual(eventIds);
  expect((await events({ first: 1 })).totalCount).toBe(EVENTS + pages.length);
});
