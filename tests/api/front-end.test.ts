import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { gql } from '@apollo/client';
import { buildSchema, isScalarType, isSpecifiedScalarType } from 'graphql';
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';
import { ADMIN_TOKEN, administratorOf, type Caller } from '../support/caller.ts';
import { type CodegenConfig, PageProject } from '../support/page-project.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const PAGE = readFileSync('docs/front-end.md', 'utf8');
const API_REFERENCE = readFileSync('docs/api.md', 'utf8');
const SCALARS = Object.values(buildSchema(readFileSync('schema.graphql', 'utf8')).getTypeMap()).filter(
  (type) => isScalarType(type) && !isSpecifiedScalarType(type),
);
/** More than one page of a list, and less than two. */
const EVENTS = 25;

let app: TestApp;
let receiver: Receiver;
let administrator: Caller;
let project: PageProject;
let config: CodegenConfig;
let session: { accountToken?: string; adminToken?: string };
let account: { id: string; token: string };

beforeAll(async () => {
  receiver = await Receiver.start();
  app = await TestApp.start({ ADMIN_TOKEN });
  administrator = administratorOf(app);
  account = await administrator.createAccount();
  project = new PageProject(PAGE, new URL(app.urls.graphql).origin);
  ({ default: config } = await project.import('codegen.ts'));
  await project.generate(config);
  ({ session } = await project.import('src/session.ts'));
});

afterEach(() => {
  delete session.accountToken;
  delete session.adminToken;
});

afterAll(async () => {
  project.remove();
  await app.stop();
  await receiver.stop();
});

/** The rows of the table whose first head cell is this one, each as its cells. */
function tableOf(page: string, head: string): string[][] {
  const [, table = ''] = new RegExp(`^\\| ${head} [^\\n]*\\n\\|[- |]+\\n((?:\\|[^\\n]*\\n)+)`, 'mu').exec(page) ?? [];
  const rows = table.trim().split('\n');
  return rows.map((row) =>
    row
      .split(/(?<!\\)\|/u)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  );
}

/** The codes in the first column of a table. */
function codesOf(page: string): string[] {
  return tableOf(page, 'code').flatMap(([codes = '']) => [...codes.matchAll(/`(\w+)`/gu)].map(([, code = '']) => code));
}

/** The code that the page makes of a failure, with each of its clients. */
async function codesOfFailure(operation: string, page: PageProject = project): Promise<unknown[]> {
  const { codeOf } = await page.import('src/error-code.ts');
  const { client: apollo } = await page.import('src/apollo.ts');
  const { client: urql } = await page.import('src/urql.ts');
  const isMutation = operation.startsWith('mutation');
  const asking = isMutation
    ? apollo.mutate({ mutation: gql(operation) })
    : apollo.query({ query: gql(operation), fetchPolicy: 'network-only' });
  const refused = await asking.then(
    () => 'not refused',
    (error: unknown) => codeOf(error),
  );
  const { error } = await (isMutation
    ? urql.mutation(operation, {})
    : urql.query(operation, {}, { requestPolicy: 'network-only' })
  ).toPromise();
  return [refused, error === undefined ? 'not refused' : codeOf(error)];
}

/** Delivers events to a new destination. */
async function deliverEvents(count: number): Promise<string> {
  const { id, token } = await administrator.createAccount();
  const destinationId = await administrator.createDestination(id, receiver.url());
  for (let n = 1; n <= count; n += 1) {
    await administrator.sendAccepted(token, `{"n":${n}}`);
  }
  const query = 'query ($id: ID!) { destination(id: $id) { deliveries(status: SUCCEEDED) { totalCount } } }';
  await administrator.eventually(
    () => administrator.data(query, { id: destinationId }),
    ({ destination }) => destination.deliveries.totalCount === count,
  );
  return destinationId;
}

/** What a watched query shows, as its user sees it change. */
function watch(query: { subscribe: (observer: ReplaySubject<unknown>) => { unsubscribe: () => void } }) {
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape is what each test asserts
  const shown = new ReplaySubject<any>(1);
  const subscription = query.subscribe(shown);
  return {
    // oxlint-disable-next-line typescript/no-explicit-any
    when: (condition: (data: any) => boolean) =>
      firstValueFrom(shown.pipe(filter(({ data }) => data !== undefined && condition(data)))),
    stop: () => subscription.unsubscribe(),
  };
}

/** The headers of a delivery that an operator has set, in order. */
async function headersSent(create: (url: string) => Promise<unknown>): Promise<string[]> {
  const own = await Receiver.start();
  await create(own.url());
  await administrator.sendAccepted(account.token, '{}');
  const [received] = await own.arrived(1);
  await own.stop();
  const sent = received?.rawHeaders ?? [];
  return sent.slice(sent.indexOf('Host') + 2, sent.indexOf('Content-Type'));
}

/** A mutation that creates an account. */
function creation(email: string, name: string): string {
  return `mutation { createAccount(input: { email: "${email}", name: "${name}" }) { id } }`;
}

describe("the page's types", () => {
  test('map every scalar of the schema, alike in the table and in the configuration', () => {
    const table = tableOf(PAGE, 'scalar').map(([scalar = '', type = '']) => [
      scalar.replaceAll('`', ''),
      type.replaceAll('`', ''),
    ]);
    expect(table.map(([scalar]) => scalar)).toEqual(SCALARS.map(({ name }) => name).toSorted());
    expect(Object.fromEntries(table)).toEqual(config.config.scalars);
  });

  test('are generated from the schema, and all code of the page compiles with them', async () => {
    expect(PAGE.match(/^```/gmu)).toHaveLength(2 * project.names.length);
    expect(await project.compile()).toBe('');
  });

  test('cannot be generated when a scalar is missing', async () => {
    const { DateTime: _, ...scalars } = config.config.scalars;
    const generating = project.generate({ ...config, config: { ...config.config, scalars } });
    await expect(generating).rejects.toThrow(/DateTime/u);
  });
});

describe('Apollo Client, as the page sets it up,', () => {
  test('joins the pages of edges, and keeps lists of another status apart', async () => {
    session.adminToken = ADMIN_TOKEN;
    const destinationId = await deliverEvents(EVENTS);
    const { watchDeliveries } = await project.import('src/deliveries.ts');
    const [all, failed] = [watchDeliveries(destinationId), watchDeliveries(destinationId, 'FAILED')];
    const [shown, shownFailed] = [watch(all), watch(failed)];
    const first = await shown.when(() => true);
    expect(first.data.destination.deliveries).toMatchObject({ totalCount: EVENTS, pageInfo: { hasNextPage: true } });
    await all.fetchMore({ variables: { after: first.data.destination.deliveries.pageInfo.endCursor } });
    const second = await shown.when(({ destination }) => !destination.deliveries.pageInfo.hasNextPage);
    const ids = second.data.destination.deliveries.edges.map(({ node }: { node: { id: string } }) => node.id);
    expect(first.data.destination.deliveries.edges).toHaveLength(20);
    expect(new Set(ids).size).toBe(EVENTS);
    expect((await shownFailed.when(() => true)).data.destination.deliveries.edges).toEqual([]);
    shown.stop();
    shownFailed.stop();
  });

  test('shows the last page of nodes only, as the page says', async () => {
    session.adminToken = ADMIN_TOKEN;
    await administrator.createAccount();
    await administrator.createAccount();
    const { client } = await project.import('src/apollo.ts');
    const query = gql`query ($after: String) {
      accounts(first: 1, after: $after) { nodes { id } pageInfo { endCursor } }
    }`;
    const accounts = client.watchQuery({ query });
    const shown = watch(accounts);
    const { data } = await shown.when(() => true);
    await accounts.fetchMore({ variables: { after: data.accounts.pageInfo.endCursor } });
    const { id } = data.accounts.nodes[0];
    const next = await shown.when(({ accounts: { nodes } }) => nodes[0].id !== id);
    expect(next.data.accounts.nodes).toHaveLength(1);
    shown.stop();
  });
});

describe('urql, as the page sets it up,', () => {
  test('reads the events of an account, page by page', async () => {
    session.accountToken = account.token;
    const ids: string[] = [];
    for (let n = 1; n <= EVENTS; n += 1) {
      ids.unshift(await administrator.sendAccepted(account.token, `{"n":${n}}`));
    }
    const { eventsOf } = await project.import('src/events.ts');
    const first = await eventsOf(account.id);
    expect(first.nodes[0]).toMatchObject({ id: ids[0], payload: { n: EVENTS } });
    expect(new Date(first.nodes[0].receivedAt).toISOString()).toBe(first.nodes[0].receivedAt);
    const second = await eventsOf(account.id, first.pageInfo.endCursor);
    expect(second.pageInfo.hasNextPage).toBe(false);
    expect([...first.nodes, ...second.nodes].map(({ id }) => id)).toEqual(ids);
  });

  test('would be refused without preferGetMethod', async () => {
    session.adminToken = ADMIN_TOKEN;
    const { client } = await project.import('src/urql.ts');
    const { codeOf } = await project.import('src/error-code.ts');
    const query = '{ accounts { totalCount } }';
    const { error } = await client.query(query, {}, { preferGetMethod: 'within-url-limit' }).toPromise();
    expect(codeOf(error)).toBe('BAD_REQUEST');
    expect((await client.query(query, {}).toPromise()).data.accounts.totalCount).toBeGreaterThan(0);
  });
});

describe('the headers of a destination', () => {
  test('may have dashes when they are passed in a variable', async () => {
    session.accountToken = account.token;
    const { createDestination } = await project.import('src/destination.ts');
    const sent = await headersSent(async (url) => {
      const headers = { 'X-Api-Key': 'secret', Accept: ['application/json', 'text/plain'] };
      expect(await createDestination(account.id, url)).toMatchObject({ headers });
    });
    expect(sent).toEqual(['X-Api-Key', 'secret', 'Accept', 'application/json', 'Accept', 'text/plain']);
  });

  test('are sorted by urql', async () => {
    session.accountToken = account.token;
    const { client } = await project.import('src/urql.ts');
    const mutation = 'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }';
    const sent = await headersSent((url) => {
      const input = { accountId: account.id, url, httpMethod: 'POST', headers: { 'X-B': '1', 'X-A': '2' } };
      return client.mutation(mutation, { input }).toPromise();
    });
    expect(sent).toEqual(['X-A', '2', 'X-B', '1']);
  });

  test('may have no dashes in a query', async () => {
    const { errors } = await administrator.graphql(`mutation {
      createDestination(input: {
        accountId: "${account.id}", url: "http://127.0.0.1:9", httpMethod: POST, headers: { X-Api-Key: "secret" }
      }) { id }
    }`);
    expect(errors).toMatchObject([{ extensions: { code: 'GRAPHQL_PARSE_FAILED' } }]);
  });
});

describe('the code of an error', () => {
  test.each([
    ['UNAUTHENTICATED', {}, '{ accounts { totalCount } }'],
    ['UNAUTHENTICATED', { accountToken: 'unknown' }, '{ accounts { totalCount } }'],
    ['UNAUTHENTICATED', { adminToken: 'wrong' }, creation('one@example.com', 'One')],
    ['FORBIDDEN', { accountToken: '' }, '{ accounts { totalCount } }'],
    ['NOT_FOUND', { adminToken: ADMIN_TOKEN }, 'mutation { deleteDestination(id: "unknown") }'],
    ['BAD_USER_INPUT', { adminToken: ADMIN_TOKEN }, creation('one@example.com', ' ')],
    ['GRAPHQL_VALIDATION_FAILED', { adminToken: ADMIN_TOKEN }, '{ nothing }'],
  ])('is read alike from both clients: %s of %j', async (code, credentials, operation) => {
    Object.assign(
      session,
      credentials,
      'accountToken' in credentials && { accountToken: credentials.accountToken || account.token },
    );
    expect(await codesOfFailure(operation)).toEqual([code, code]);
  });

  test('tells a CONFLICT', async () => {
    session.adminToken = ADMIN_TOKEN;
    await administrator.createAccount('taken@example.com');
    expect(await codesOfFailure(creation('taken@example.com', 'Two'))).toEqual(['CONFLICT', 'CONFLICT']);
  });

  test("is none for a proxy's page", async () => {
    const proxy = await Receiver.start((response) => {
      response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    });
    const behind = new PageProject(PAGE, new URL(proxy.url()).origin);
    expect(await codesOfFailure('{ accounts { totalCount } }', behind)).toEqual([undefined, undefined]);
    behind.remove();
    await proxy.stop();
  });

  test('has a line in the table, whatever it is', () => {
    expect(codesOf(PAGE).toSorted()).toEqual(codesOf(API_REFERENCE).toSorted());
    expect(codesOf(PAGE)).toContain('BAD_USER_INPUT');
  });
});
