import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { HTTP_METHODS, type HttpMethod, parseDestinationUrl, parseHeaders } from '../../src/core/inputs.ts';
import { DomainError } from '../../src/core/errors.ts';
import { HttpSender } from '../../src/dispatch/http-sender.ts';
import { naughtyStrings } from '../support/naughty-strings.ts';
import { requestSource } from '../support/request-source.ts';
import { SMUGGLING_TRICKS } from '../support/smuggling-tricks.ts';
import { WireReceiver } from '../support/wire-receiver.ts';

interface Made {
  readonly url: string;
  readonly httpMethod: HttpMethod;
  readonly headers: Record<string, string | string[]>;
  readonly payload: string;
}

let receiver: WireReceiver;
let sender: HttpSender;
let counts: { sent: number; refused: number };

beforeAll(async () => {
  receiver = await WireReceiver.start();
  sender = new HttpSender({
    userAgent: 'test',
    timeoutMs: 15_000,
    // What names another host, or another address, goes nowhere.
    egress: { rule: { allowed: ['127.0.0.1'], own: ['0.0.0.0/0', '::/0'] }, proxyUrl: undefined },
    lookup: (_host, _options, callback) => callback(Object.assign(new Error('No name.'), { code: 'ENOTFOUND' }), []),
  });
});
beforeEach(() => {
  counts = { sent: 0, refused: 0 };
});
afterAll(async () => {
  sender.close();
  await receiver.stop();
});

function origin(): string {
  return `http://127.0.0.1:${receiver.port}`;
}

/** What the API takes leads to one well-formed request that says what was asked for, or to none at another host. */
async function check(made: Partial<Made>): Promise<void> {
  const { url = `${origin()}/hook`, httpMethod = 'POST', headers = { 'X-Test': '1' }, payload = '{}' } = made;
  const taken = taking(() => ({ url: parseDestinationUrl(url), headers: parseHeaders(headers) }));
  if (taken === undefined) {
    counts.refused += 1;
    return;
  }
  const source = requestSource({ httpMethod, payload: Buffer.from(payload), ...taken });
  const before = receiver.requests.length;
  const outcome = await sender.send(source, 0);
  const requests = receiver.requests.slice(before);
  expect(receiver.faults).toEqual([]);
  const isHere = new URL(url).origin === origin();
  expect([outcome?.statusCode, requests.length]).toEqual(isHere ? [200, 1] : [null, 0]);
  if (!isHere) {
    return;
  }
  counts.sent += 1;
  expect(requests.map(({ body }) => body.toString())).toEqual([httpMethod === 'GET' ? '' : payload]);
  expect(requests[0]?.line.split(' ')[0]).toBe(httpMethod);
  const asked = taken.headers.flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const arrived = requests[0]?.headers.slice(1, asked.length + 1);
  expect(arrived?.map(([name, bytes]) => [name, Buffer.from(bytes, 'latin1').toString()])).toEqual(asked);
}

function taking<Result>(parse: () => Result): Result | undefined {
  try {
    return parse();
  } catch (error) {
    expect(error).toBeInstanceOf(DomainError);
    return undefined;
  }
}

test.each([
  ['known tricks', SMUGGLING_TRICKS],
  ['naughty strings', naughtyStrings],
])(
  '%s, wherever they are put',
  async (_what, texts) => {
    for (const text of texts) {
      for (const path of [text, `/${text}`, `/a?b=${text}`, `/#${text}`, `@${text}`]) {
        await check({ url: origin() + path });
      }
      await check({ url: origin().replace('//', `//${text}`) });
      await check({ headers: { 'X-Test': text } });
      await check({ headers: { 'X-Test': ['1', `a${text}b`] } });
      await check({ headers: { [text]: '1' } });
      const payload = JSON.stringify({ [text]: text, nested: [text] });
      await check({ httpMethod: 'GET', payload });
      await check({ payload });
    }
    expect(counts.sent).toBeGreaterThan(texts.length * 3);
    expect(counts.refused).toBeGreaterThan(texts.length / 3);
  },
  120_000,
);

test('anything that can be made up of URL, method, headers and payload', async () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom(...SMUGGLING_TRICKS));
  const name = fc.oneof(fc.stringMatching(/^X-[A-Za-z]{1,9}$/u), text);
  const made = fc.record({
    url: fc.oneof({ weight: 3, arbitrary: fc.webPath() }, text).map((path) => `${origin()}/${path}`),
    httpMethod: fc.constantFrom(...HTTP_METHODS),
    headers: fc.dictionary(name, fc.oneof(fc.string(), text, fc.array(text)), { minKeys: 1, maxKeys: 3 }),
    payload: fc.dictionary(text, fc.jsonValue()).map((value) => JSON.stringify(value)),
  });
  await fc.assert(fc.asyncProperty(made, check), { numRuns: 1_000 });
  expect(counts.sent).toBeGreaterThan(100);
}, 120_000);
