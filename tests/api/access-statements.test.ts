import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ADMIN_TOKEN, administratorOf, type Caller } from '../support/caller.ts';
import { createHousehold, type Household } from '../support/household.ts';
import { OPERATIONS } from '../support/operations.ts';
import { Receiver } from '../support/receiver.ts';
import { TestApp } from '../support/test-app.ts';

const UNKNOWN = '00000000-0000-7000-8000-000000000000';
const QUERIES = OPERATIONS.filter(({ type }) => type === 'query');

let app: TestApp;
let receiver: Receiver;
let administrator: Caller;
let mine: Household;
let theirs: Household;
const statements: string[] = [];

beforeAll(async () => {
  receiver = await Receiver.start();
  app = await TestApp.start({ ADMIN_TOKEN }, { observeStatement: (statement) => void statements.push(statement) });
  administrator = administratorOf(app);
  mine = await createHousehold(administrator, receiver);
  theirs = await createHousehold(administrator, receiver);
});

afterAll(async () => {
  await app.stop();
  await receiver.stop();
});

/** Of the request itself: not the sweeper's, nor the one that finds out whose token it is. */
async function statementsOf(caller: Caller, text: string): Promise<number> {
  statements.length = 0;
  await caller.graphql(text);
  return statements.filter((one) => !/\bwaiting\b|where token_hash/u.test(one)).length;
}

test.each(QUERIES)('$field of its own costs an account the statements that it costs the administrator', async (one) => {
  const text = one.text(mine.ids[one.on]);
  const cost = await statementsOf(administrator, text);
  expect(cost).toBeGreaterThan(1);
  expect(await statementsOf(mine.caller, text)).toBe(cost);
});

test.each(OPERATIONS)(
  "$field of another account's costs what it costs of none: no time tells them apart",
  async (one) => {
    const cost = await statementsOf(mine.caller, one.text(UNKNOWN));
    expect(cost).toBeGreaterThan(0);
    expect(await statementsOf(mine.caller, one.text(theirs.ids[one.on]))).toBe(cost);
  },
);
