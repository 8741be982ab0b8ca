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

/** Settings that the API takes lead to one well-formed request, and others to a refusal. */
async function expectOneRequest(settings: Record<string, unknown>, payload = '{}'): Promise<void> {
  const input = { url: urlWith('hook'), httpMethod: 'POST', headers: { 'X-Test': '1' }, ...settings };
  const { errors } = await app.graphql(UPDATE, { id: destinationId, input });
  if (errors !== undefined) {
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['BAD_USER_INPUT']);
    return;
  }
  const before = receiver.requests.length;
  const { status } = await finishedDelivery(app, await app.sendAccepted(account.token, payload));
  const requests = receiver.requests.slice(before);
  expect({ status, faults: receiver.faults }).toEqual({ status: 'SUCCEEDED', faults: [] });
  expect(requests.map(({ body }) => body.toString())).toEqual([input.httpMethod === 'GET' ? '' : payload]);
}

test.each(SMUGGLING_TRICKS)('%j makes no second request, in a URL, a header and a payload', async (trick) => {
  await expectOneRequest({ url: urlWith(`a${trick}b`) });
  await expectOneRequest({ headers: { 'X-Test': ['1', `a${trick}b`] } });
  await expectOneRequest({ headers: { [`X${trick}`]: '1' } });
  await expectOneRequest({ httpMethod: 'GET' }, JSON.stringify({ [trick]: trick, nested: [trick] }));
});
