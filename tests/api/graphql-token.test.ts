import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TestApp } from '../support/test-app.ts';

const FORMAT = /^[A-Za-z0-9]{16}$/;
const UPDATE =
  'mutation ($id: ID!, $name: String) { updateAccount(id: $id, input: { name: $name }) { appSecretToken } }';
const ROTATE = 'mutation ($id: ID!) { rotateAppSecretToken(accountId: $id) { id email name website appSecretToken } }';

let app: TestApp;

beforeAll(async () => {
  app = await TestApp.start();
});

afterAll(() => app.stop());

async function statusFor(token: string): Promise<number> {
  return (await app.send(token, '{}')).status;
}

describe("an account's token", () => {
  test('has 16 letters and digits, is never the same twice, and uses the whole alphabet', async () => {
    const accounts = await Promise.all(Array.from({ length: 100 }, () => app.createAccount()));
    const tokens = accounts.map(({ token }) => token);
    expect(tokens.filter((token) => !FORMAT.test(token))).toEqual([]);
    expect(new Set(tokens).size).toBe(100);
    // 1,600 random characters leave one of 62 out with a probability of 3 in 10^10.
    expect(new Set(tokens.join('')).size).toBe(62);
  });

  test('is not changed by an update', async () => {
    const { id, token } = await app.createAccount();
    const { updateAccount } = await app.data(UPDATE, { id, name: 'Another' });
    expect(updateAccount.appSecretToken).toBe(token);
    expect(await statusFor(token)).toBe(202);
  });

  test('is replaced by rotateAppSecretToken: the old one stops at once, the new one works', async () => {
    const { id, token } = await app.createAccount();
    expect(await statusFor(token)).toBe(202);
    const { rotateAppSecretToken: rotated } = await app.data(ROTATE, { id });
    expect(rotated.appSecretToken).toMatch(FORMAT);
    expect(rotated.appSecretToken).not.toBe(token);
    expect(await statusFor(token)).toBe(401);
    expect(await statusFor(rotated.appSecretToken)).toBe(202);
    const { account } = await app.data('query ($id: ID!) { account(id: $id) { appSecretToken name } }', { id });
    expect(account).toEqual({ appSecretToken: rotated.appSecretToken, name: 'Test' });
  });

  test('stops working when the account is deleted', async () => {
    const { id, token } = await app.createAccount();
    await app.data('mutation ($id: ID!) { deleteAccount(id: $id) }', { id });
    expect(await statusFor(token)).toBe(401);
  });

  test('is written to no log line, nor are header values', async () => {
    const { id, token } = await app.createAccount();
    await app.createDestination(id, 'http://127.0.0.1:9/', { headers: { Authorization: 'Bearer sesame-open' } });
    await app.send(token, '{}');
    await app.send(token, '[]');
    await app.data(ROTATE, { id });
    expect(app.logLines.length).toBeGreaterThan(0);
    expect(app.logLines.filter((line) => line.includes(token) || line.includes('sesame'))).toEqual([]);
  });
});
