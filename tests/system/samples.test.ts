import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildSchema, type DocumentNode, Kind, parse, validate } from 'graphql';
import { fillIn, type HttpFileRequest, parseHttpFile } from '../support/http-file.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const run = promisify(execFile);
const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));
const OPERATIONS = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
  Object.keys(type?.getFields() ?? {}),
);

const bench = new Workbench();
let server: ServerProcess;

beforeAll(async () => {
  server = await bench.start();
});

afterAll(() => bench.clear());

/** The fields of Query and Mutation that a document asks for. */
function rootFields({ definitions }: DocumentNode): string[] {
  return definitions
    .filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
    .flatMap(({ selectionSet }) => selectionSet.selections)
    .map((selection) => (selection.kind === Kind.FIELD ? selection.name.value : '?'));
}

function isGraphql({ url }: HttpFileRequest): boolean {
  return url.endsWith('/graphql');
}

function documentOf({ body }: HttpFileRequest): DocumentNode {
  return parse((JSON.parse(body) as { query: string }).query);
}

/** Makes the call; asks for the event until it is delivered, as a reader would. */
async function made(
  call: HttpFileRequest,
  values: ReadonlyMap<string, string>,
): Promise<{ status: number; text: string }> {
  const ask = async (): Promise<{ status: number; text: string }> => {
    const { method, headers } = call;
    const response = await fetch(fillIn(call.url, values), {
      method,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fillIn(value, values)])),
      body: fillIn(call.body, values),
    });
    return { status: response.status, text: await response.text() };
  };
  return server.eventually(ask, ({ text }) => !(call.title.startsWith('event:') && text.includes('"PENDING"')));
}

function keepIds({ title }: HttpFileRequest, text: string, values: Map<string, string>): void {
  const [, kind] = /^(?:create)?(\w+)/u.exec(title) ?? [];
  const id = { Account: 'accountId', Destination: 'destinationId', An: 'eventId', event: 'deliveryId' }[kind ?? ''];
  const pattern = kind === 'event' ? /"deliveries":\[\{"id":"([^"]+)"/u : /"(?:id|eventId)":"([^"]+)"/u;
  if (id !== undefined) {
    values.set(id, pattern.exec(text)?.[1] ?? '');
  }
  values.set('token', /"appSecretToken":"([^"]+)"/u.exec(text)?.[1] ?? values.get('token') ?? '');
}

describe('the sample operations', () => {
  const files = readdirSync('samples/graphql');

  test.each(files)('%s is valid, has one named operation, and is named after it', (file) => {
    const document = parse(readFileSync(`samples/graphql/${file}`, 'utf8'));
    expect(validate(schema, document)).toEqual([]);
    const [field = '', ...others] = rootFields(document);
    expect(others).toEqual([]);
    expect(file).toBe(`${field.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}.graphql`);
    const [operation] = document.definitions;
    expect(operation).toMatchObject({ name: { value: field.charAt(0).toUpperCase() + field.slice(1) } });
  });

  test('every query and every mutation has one', () => {
    const covered = files.flatMap((file) => rootFields(parse(readFileSync(`samples/graphql/${file}`, 'utf8'))));
    expect(covered.toSorted()).toEqual(OPERATIONS.toSorted());
  });
});

describe('data-pusher.http', () => {
  const { variables, requests } = parseHttpFile(readFileSync('samples/data-pusher.http', 'utf8'));

  test('makes every query and every mutation once, validly, under its name', () => {
    const calls = requests.filter(isGraphql);
    for (const call of calls) {
      expect(validate(schema, documentOf(call))).toEqual([]);
      expect(call.title).toMatch(new RegExp(`^${rootFields(documentOf(call)).join()}: `, 'u'));
    }
    expect(calls.flatMap((call) => rootFields(documentOf(call))).toSorted()).toEqual(OPERATIONS.toSorted());
  });

  test('works from top to bottom, when the ids are filled in as they come', async () => {
    const values = new Map(variables).set('baseUrl', new URL(server.urls.graphql).origin);
    for (const call of requests) {
      const { status, text } = await made(call, values);
      expect({ call: call.title, status, text }).toEqual({
        call: call.title,
        status: isGraphql(call) ? 200 : 202,
        text: expect.not.stringContaining('"errors":'),
      });
      keepIds(call, text, values);
    }
    expect(values.get('deliveryId')).toMatch(/^[0-9a-f-]{36}$/u);
  });
});

describe('curl.sh', () => {
  test('makes every call, and the server answers all of them', async () => {
    const receiver = await bench.receiver();
    const { stdout } = await run('sh', ['samples/curl.sh'], {
      env: {
        PATH: process.env['PATH'],
        BASE_URL: new URL(server.urls.graphql).origin,
        DESTINATION_URL: receiver.url('/curl'),
      },
    });
    const titles = [...stdout.matchAll(/^--- (\w+)$/gmu)].map(([, title = '']) => title);
    expect(new Set(titles)).toEqual(new Set(OPERATIONS));
    expect(stdout).toContain('Every call was answered.');
    expect(receiver.received[0]?.target).toBe('/curl?order=4711&total=129.90&paid=true');
  });

  test.each([
    ['there is no such server', () => ({ BASE_URL: server.urls.health })],
    ['a call is refused', () => ({ BASE_URL: new URL(server.urls.graphql).origin, DESTINATION_URL: 'ftp://no' })],
  ])('ends with status 1 when %s', async (_what, settings) => {
    const env = { PATH: process.env['PATH'], ...settings() };
    await expect(run('sh', ['samples/curl.sh'], { env })).rejects.toMatchObject({ code: 1 });
  });
});

describe('npm run demo', () => {
  test('shows what each destination received, and that the failing one recovered', async () => {
    const { stdout } = await run(process.execPath, ['samples/demo.ts']);
    expect(stdout).toMatch(
      /^ {2}GET \/get\?from=demo&type=order\.paid&order=20260115000000000001&total=129\.90&customer=/mu,
    );
    expect(stdout).toMatch(/^ {2}POST \/post\n {2}APP_ID: 1234APPID1234$/mu);
    expect(stdout.match(/^ {2}PUT \/flaky$/gmu)).toHaveLength(3);
    expect(stdout).toMatch(/\/flaky: SUCCEEDED\n.* 500 \(HTTP_STATUS\).*\n.* 500 \(HTTP_STATUS\).*\n.* 200 in /u);
    expect(stdout).toMatch(/refunds only: TYPE_MISMATCH\n.*large orders only: FILTERED by its filter on "total"\n/u);
    expect(stdout).toMatch(/Everything arrived as it should\.\n$/u);
  });
});
