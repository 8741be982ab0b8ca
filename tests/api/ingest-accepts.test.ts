import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchange } from '../support/exchange.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const JSON_TYPE = ['Content-Type', 'application/json'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let app: TestApp;
let origin: string;
let token: string;

beforeAll(async () => {
  app = await TestApp.start();
  origin = new URL(app.urls.ingest).origin;
  ({ token } = await app.createAccount());
});

afterAll(() => app.stop());

describe('a valid event is accepted', () => {
  test('with 202, the id of the stored event and the number of its deliveries', async () => {
    await using receiver = await Receiver.start();
    const { id, token: own } = await app.createAccount();
    await app.createDestination(id, receiver.url('/one'));
    await app.createDestination(id, receiver.url('/two'));
    const answer = await exchange(app.urls.ingest, { headers: [...JSON_TYPE, 'CL-X-TOKEN', own], body: '{"a":1}' });
    expect(answer.status).toBe(202);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json).toEqual({
      success: true,
      message: 'Data Received',
      eventId: expect.stringMatching(UUID),
      deliveries: 2,
    });
    const query = 'query ($id: ID!) { event(id: $id) { payloadText account { id } deliveries { id } } }';
    const { event } = await app.data(query, { id: answer.json.eventId });
    expect(event).toMatchObject({ payloadText: '{"a":1}', account: { id } });
    expect(event.deliveries).toHaveLength(2);
    await receiver.arrived(2);
  });

  test('also when the account has no destinations', async () => {
    const answer = await exchange(app.urls.ingest, { headers: [...JSON_TYPE, 'CL-X-TOKEN', token], body: '{}' });
    expect(answer.status).toBe(202);
    expect(answer.json.deliveries).toBe(0);
  });

  test.each(['/server/incoming_data', '/server/incoming_data/', '/incoming_data', '/incoming_data/'])(
    'at %s, without a redirect',
    async (path) => {
      const answer = await exchange(origin + path, { headers: [...JSON_TYPE, 'CL-X-TOKEN', token], body: '{}' });
      expect(answer.status).toBe(202);
    },
  );

  test.each(['CL-X-TOKEN', 'cl-x-token', 'Cl-X-Token', 'cL-x-ToKeN', 'CL-XTOKEN', 'cl-xtoken', 'Cl-XToken'])(
    'with the token in the header %s',
    async (name) => {
      const answer = await exchange(app.urls.ingest, { headers: [...JSON_TYPE, name, token], body: '{}' });
      expect(answer.status).toBe(202);
    },
  );

  test.each([
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json; charset=UTF-8',
    'application/json; charset="utf-8"',
    'application/json; charset=utf8',
    'application/json ; version=1',
  ])('with the content type %s', async (type) => {
    const headers = ['Content-Type', type, 'CL-X-TOKEN', token];
    expect((await exchange(app.urls.ingest, { headers, body: '{}' })).status).toBe(202);
  });

  test.each([' {} ', '\r\n\t{"a" : 1}\n', '{"":""}', '{"ключ":"значение 🙂"}'])('with the body %j', async (body) => {
    const headers = [...JSON_TYPE, 'CL-X-TOKEN', token];
    expect((await exchange(app.urls.ingest, { headers, body })).status).toBe(202);
  });

  test('when its body comes in chunks, without a length', async () => {
    const body = ReadableStream.from(['{"a":', '"b"', '}'].map((part) => Buffer.from(part)));
    const headers = { 'Content-Type': 'application/json', 'CL-X-TOKEN': token };
    const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit;
    const response = await fetch(app.urls.ingest, init);
    expect(response.status).toBe(202);
  });
});
