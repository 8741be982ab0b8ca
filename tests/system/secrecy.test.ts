import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Workbench } from '../support/workbench.ts';

const HEADER_VALUE = 'Bearer header-secret';
const PAYLOAD_TEXT = 'payload-secret';
const URL_TEXT = 'url-secret';
const ANSWER_TEXT = 'answer-secret';

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
});

describe('what the server prints at LOG_LEVEL=trace', () => {
  test('no token, header value, payload, URL of a destination or answer of one is in it, whatever happens', async () => {
    const receiver = await bench.receiver((response, _received, attempt) => {
      response.statusCode = attempt % 2 === 0 ? 200 : 500;
      response.end(ANSWER_TEXT);
    });
    const server = await bench.start({ LOG_LEVEL: 'trace', RETRY_SCHEDULE: '1ms,1ms', DELIVERY_TIMEOUT: '1s' });
    const { id, token } = await server.createAccount();
    const headers = { Authorization: HEADER_VALUE };
    const query = `?key=${URL_TEXT}`;
    for (const url of [receiver.url(`/${query}`), `http://127.0.0.1:1/${query}`, `http://no.host.invalid/${query}`]) {
      await server.createDestination(id, url, { headers });
    }
    await server.createDestination(id, receiver.url(`/${query}`), { headers, httpMethod: 'GET' });
    await server.sendAccepted(token, `{"text":"${PAYLOAD_TEXT}"}`);

    for (const body of [`{"${PAYLOAD_TEXT}`, `["${PAYLOAD_TEXT}"]`, PAYLOAD_TEXT]) {
      expect((await server.send(token, body)).status).toBe(400);
    }
    expect((await server.send(`${token}x`, '{}')).status).toBe(401);
    const { errors } = await server.graphql(
      'mutation ($input: CreateDestinationInput!) { createDestination(input: $input) { id } }',
      {
        input: { accountId: id, url: `ftp://${URL_TEXT}`, httpMethod: 'POST', headers },
      },
    );
    expect(errors).toHaveLength(1);
    await server.eventually(
      () =>
        server.data(
          'query ($id: ID!) { destinations(accountId: $id) { deliveries(status: PENDING) { totalCount } } }',
          { id },
        ),
      ({ destinations }) =>
        destinations.every(({ deliveries }: { deliveries: { totalCount: number } }) => deliveries.totalCount === 0),
    );
    const rotated = await server.data(
      'mutation ($id: ID!) { rotateAppSecretToken(accountId: $id) { appSecretToken } }',
      { id },
    );
    await server.end();

    const printed = server.stdout + server.stderr;
    expect(printed).toMatch(/"msg":"event accepted"/u);
    expect(printed).toMatch(/"msg":"delivery attempt failed"/u);
    expect(printed).toMatch(/"msg":"delivery succeeded"/u);
    const newToken = rotated.rotateAppSecretToken.appSecretToken;
    for (const secret of [token, newToken, HEADER_VALUE, 'header-secret', PAYLOAD_TEXT, URL_TEXT, ANSWER_TEXT]) {
      expect(printed).not.toContain(secret);
    }
  });
});
