import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

let app: TestApp;
let receiver: Receiver;
let token: string;

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await Receiver.start();
  const account = await app.createAccount();
  token = account.token;
  await app.createDestination(account.id, receiver.url());
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

const DEPTH = 100_000;

const tooDeep: [title: string, body: string][] = [
  ['lists', `{"a":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}}`],
  ['objects', `${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`],
  ['both in turn', `${'{"a":['.repeat(DEPTH / 2)}${']}'.repeat(DEPTH / 2)}`],
  ['lists that are never closed', `{"a":${'['.repeat(DEPTH)}`],
  ['objects that are never closed', '{"a":'.repeat(DEPTH)],
];

describe('a payload nested 100,000 deep is refused with 400, and the server goes on', () => {
  test.each(tooDeep)('%s', async (_title, body) => {
    const response = await app.send(token, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ success: false, message: 'Invalid Data' });
    expect((await fetch(`${app.urls.health}/live`)).status).toBe(200);
  });
});

const faithful: [title: string, body: string][] = [
  ['nested 1,000 deep', `${'{"a":'.repeat(1_000)}1${'}'.repeat(1_000)}`],
  ['deep only inside a string', `{"a":"${'['.repeat(50_000)}\\"${'{'.repeat(50_000)}"}`],
  ['a __proto__ key', '{"__proto__":{"polluted":true},"a":{"__proto__":[1]}}'],
  ['a constructor key', '{"constructor":{"prototype":{"polluted":true}},"toString":1,"hasOwnProperty":null}'],
  ['numbers beyond a double', '{"a":1e400,"b":-1e400,"c":1e-400,"d":-0,"e":0.1000000000000000055511151231257827}'],
  ['integers of 20 digits', '{"a":12345678901234567890,"b":-99999999999999999999,"c":9007199254740993}'],
  ['numbers in unusual spelling', '{"a":1.0,"b":1E+2,"c":1e0,"d":0.0e-0,"e":100}'],
  ['lone surrogates', '{"a":"\\ud800","b":"\\udc00","\\udfff":"\\ud83d","c":"\\ude00\\ud83d"}'],
  ['a duplicate key', '{"a":1,"a":2,"b":{"c":1,"c":2},"a":3}'],
  ['keys that sort otherwise', '{"b":1,"2":2,"a":3,"1":4,"":5}'],
  ['white space', ' \t\r\n{ "a" :\n[ ]\t, "b":{ } }\r\n '],
  ['escapes', '{"\\u0061":"\\u0000\\/\\b\\f\\n\\r\\t\\"\\\\","b":"\\u001f\\u007f\\u2028"}'],
  ['raw line separators and joiners', '{"a":"\u2028\u2029\u200d\u200f\ufeff\u0085\u007f"}'],
  ['noncharacters', '{"a":"\uffff\ufffe\u{10ffff}"}'],
  ['20,000 keys', `{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":${index}`).join(',')}}`],
];

describe('what JSON allows arrives byte for byte', () => {
  test.each(faithful)('%s', async (_title, body) => {
    const before = receiver.received.length;
    const eventId = await app.sendAccepted(token, body);
    const delivered = (await receiver.arrived(before + 1))[before];
    expect(delivered?.body.equals(Buffer.from(body))).toBe(true);
    const { event } = await app.data('query ($id: ID!) { event(id: $id) { payloadText payload } }', { id: eventId });
    expect(event.payloadText).toBe(body);
    expect(typeof event.payload).toBe('object');
  });

  test('and leaves no trace in the program', () => {
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});
