import { expect, test } from '@jest/globals';
import { assert, asyncProperty, jsonValue } from 'fast-check';
import { answerText, JsonText } from '../../src/graphql/answer.ts';

test('an answer is written as JSON.stringify writes it, whatever is in it', async () => {
  await assert(
    asyncProperty(jsonValue(), async (data) => {
      expect(await answerText({ errors: undefined, data })).toBe(`${JSON.stringify({ errors: undefined, data })}\n`);
    }),
  );
});

test('dates and texts that are long are written like all others', async () => {
  const data = { at: new Date(0), long: `"${'\u2028\\x'.repeat(5_000)}`, none: undefined, list: [undefined, [], {}] };
  expect(await answerText(data)).toBe(`${JSON.stringify(data)}\n`);
});

test('JSON that is text already is passed on with every digit', async () => {
  const text = '{ "id": 12345678901234567890, "one": 1.0, "id": 2 }';
  expect(await answerText({ data: { list: [new JsonText(text)] } })).toBe(`{"data":{"list":[${text}]}}\n`);
});

test('others get their turn while a large answer is written', async () => {
  let turns = 0;
  let isWritten = false;
  const countTurns = (): void => {
    turns += 1;
    if (!isWritten) {
      setImmediate(countTurns);
    }
  };
  setImmediate(countTurns);
  await answerText({ data: Array.from({ length: 100_000 }, (_, id) => ({ id, name: `number ${id}` })) });
  isWritten = true;
  expect(turns).toBeGreaterThan(2);
});
