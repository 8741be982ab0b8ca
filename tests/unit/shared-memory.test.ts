import { expect, test } from '@jest/globals';
import { array, assert, constant, infiniteStream, integer, nat, oneof, property } from 'fast-check';
import { SharedMemory } from '../../src/core/shared-memory.ts';

const SIZE = 1_000;

test('no byte is lent twice, and what is given back can be lent again', () => {
  const step = oneof(integer({ min: 1, max: SIZE }), constant('give back' as const));
  assert(
    property(array(step, { maxLength: 200 }), infiniteStream(nat()), (steps, choices) => {
      const memory = new SharedMemory(SIZE);
      let isRight = true;
      const lent: Buffer<SharedArrayBuffer>[] = [];
      for (const taken of steps) {
        if (taken !== 'give back') {
          const bytes = memory.allocate(taken);
          const used = lent.reduce((sum, { length }) => sum + length, 0);
          isRight &&= bytes === undefined || (bytes.length === taken && used + taken <= SIZE);
          lent.push(...(bytes === undefined ? [] : [bytes]));
        } else if (lent.length > 0) {
          memory.free(lent.splice((choices.next().value as number) % lent.length, 1)[0] as Buffer<SharedArrayBuffer>);
        }
        for (const [mark, bytes] of lent.entries()) {
          bytes.fill(mark);
        }
        isRight &&= lent.every((bytes, mark) => bytes.every((byte) => byte === mark % 256));
      }
      expect(isRight).toBe(true);
      for (const bytes of lent) {
        memory.free(bytes);
      }
      expect(memory.allocate(SIZE)?.length).toBe(SIZE);
    }),
  );
});

test('one that finds no hole is told so', () => {
  const memory = new SharedMemory(10);
  const [first] = [memory.allocate(4), memory.allocate(4)];
  expect(memory.allocate(4)).toBeUndefined();
  memory.free(first as Buffer<SharedArrayBuffer>);
  expect(memory.allocate(4)?.byteOffset).toBe(0);
});
