import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { finishedDelivery } from '../support/deliveries.ts';
import { SMUGGLING_TRICKS } from '../support/smuggling-tricks.ts';
import { TestApp } from '../support/test-app.ts';
import { WireReceiver } from '../support/wire-receiver.ts';

const UPDATE = `mutation ($id: ID!, $input: UpdateDestinationInput!) { updateDestination(id: $id, input: $input) { id } }`;

let app: TestApp;
let receiver: WireReceiver;
let account: { id: string; token: string };
let destinationId: string;

beforeAll(async () => {
  app = await TestApp.start();
  receiver = await WireReceiver.start();
  account = await app.createAccount();
  destinationId = await app.createDestination(account.id, urlWith(''));
});
afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

function urlWith(path: string): string {
  return `http://127.0.0.1:${receiver.port}/${path}`;
}

/** What the API says to the settings, or else what became of an event on its way there. */
async function resultOf(settings: Record<string, unknown>, payload = '{}'): Promise<string> {
  const input = { url: urlWith('hook'), httpMethod: 'POST', headers: { 'X-Test': '1' }, ...settings };
  const { errors } = await app.graphql(UPDATE, { id: destinationId, input });
  if (errors !== undefined) {
    return errors.map(({ extensions }) => extensions.code).join();
  }
  const before = receiver.requests.length;
  const { status } = await finishedDelivery(app, await app.sendAccepted(account.token, payload));
  const bodies = receiver.requests.slice(before).map(({ body }) => body.toString());
  const isWhole = bodies[0] === (input.httpMethod === 'GET' ? '' : payload);
  return `${status}, ${bodies.length} ${isWhole ? 'whole' : 'other'}`;
}

test.each(SMUGGLING_TRICKS)('%j makes no second request, in a URL, a header and a payload', async (trick) => {
  const inUrl = await resultOf({ url: urlWith(`a${trick}b`) });
  const inHeader = await resultOf({ headers: { 'X-Test': ['1', `a${trick}b`] } });
  const inName = await resultOf({ headers: { [`X${trick}`]: '1' } });
  for (const result of [inUrl, inHeader, inName]) {
    expect(['BAD_USER_INPUT', 'SUCCEEDED, 1 whole']).toContain(result);
  }
  const payload = JSON.stringify({ [trick]: trick, nested: [trick] });
  expect(await resultOf({ httpMethod: 'GET' }, payload)).toBe('SUCCEEDED, 1 whole');
  expect(await resultOf({}, payload)).toBe('SUCCEEDED, 1 whole');
  expect(receiver.faults).toEqual([]);
});
