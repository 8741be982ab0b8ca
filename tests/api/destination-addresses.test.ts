import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { expectBadInput, Word } from '../support/both-ways.ts';
import { TestApp } from '../support/test-app.ts';

const CREATE = { name: 'createDestination', inputType: 'CreateDestinationInput' };
const GOOD = { url: 'https://hello.example/hook', httpMethod: new Word('POST'), headers: { X: '1' } };

const REFUSED = [
  'http://127.0.0.1/',
  'http://127.1:4000/hook',
  'http://2130706433',
  'http://0x7f.1/',
  'http://0177.0.0.1/',
  'http://0/',
  'http://127.0.0.1./',
  'http://１２７.０.０.１/',
  'http://127。0。0。1/',
  'http://%31%32%37.1/',
  'HTTPS://[::1]:443/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://10.0.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://168.63.129.16/',
  'http://[fd00:ec2::254]/',
  'http://[fe80::1]/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
];

describe('where only the internet and what is allowed may be called', () => {
  let app: TestApp;
  let accountId: string;

  beforeAll(async () => {
    app = await TestApp.start({ ALLOW_DESTINATIONS: '10.1.0.0/16, fd12::/16, hooks.internal' });
    ({ id: accountId } = await app.createAccount());
  });
  afterAll(() => app.stop());

  test.each(REFUSED)('%s is refused at creation', (url) =>
    expectBadInput(app, CREATE, { accountId, ...GOOD, url }, 'url'),
  );

  test.each(REFUSED.slice(0, 12))('%s is refused at an update, which changes nothing', async (url) => {
    const id = await app.createDestination(accountId, GOOD.url);
    const mutation = { name: 'updateDestination', inputType: 'UpdateDestinationInput', id };
    await expectBadInput(app, mutation, { url, headers: { Y: '1' } }, 'url');
    const query = 'query ($id: ID!) { destination(id: $id) { url headers } }';
    expect((await app.data(query, { id })).destination).toEqual({ url: GOOD.url, headers: { 'X-Test': '1' } });
  });

  test.each([
    'http://8.8.8.8/',
    'http://134744072/',
    'http://[2606:4700:4700::1111]/',
    'http://10.1.255.255/',
    'http://[fd12::1]:8080/',
    'http://hooks.internal/',
    'http://any.other.example/?to=127.0.0.1',
  ])('%s is taken', async (url) => {
    const id = await app.createDestination(accountId, url);
    expect((await app.data('query ($id: ID!) { destination(id: $id) { url } }', { id })).destination.url).toBe(url);
  });
});

describe('an application of its own', () => {
  let app: TestApp | undefined;

  afterEach(() => app?.stop());

  test('with ALLOW_DESTINATIONS=none takes nothing but the internet', async () => {
    app = await TestApp.start({ ALLOW_DESTINATIONS: 'none' });
    const { id: accountId } = await app.createAccount();
    await expectBadInput(app, CREATE, { accountId, ...GOOD, url: 'http://10.1.0.1/' }, 'url');
    await app.createDestination(accountId, GOOD.url);
  });

  test('takes everything locally', async () => {
    app = await TestApp.start();
    const { id } = await app.createAccount();
    for (const url of REFUSED) {
      await app.createDestination(id, url);
    }
    const { destinations } = await app.data('query ($id: ID!) { destinations(accountId: $id) { url } }', { id });
    expect(destinations.map(({ url }: { url: string }) => url)).toEqual(REFUSED);
  });
});
