import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type Answer,
  FrameReader,
  type Order,
  packAnswer,
  packOrder,
  unpackAnswer,
  unpackOrder,
} from '../../src/transform/protocol.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const order: fc.Arbitrary<Order> = fc.record({
  kind: fc.constantFrom('transform', 'parse'),
  accountId: fc.string({ unit: 'binary' }),
  expression: fc.string({ unit: 'binary' }),
  payload: bytes,
});
const answer: fc.Arbitrary<Answer> = fc.record({
  isFailure: fc.boolean(),
  cpuMs: fc.double({ noNaN: true }),
  body: bytes,
});

/** Hands a stream over in pieces that end at these places. */
function read(stream: Buffer, ends: readonly number[]): Buffer[] {
  const reader = new FrameReader();
  const cuts = [0, ...ends.map((end) => end % (stream.length + 1)).toSorted((a, b) => a - b), stream.length];
  return cuts.slice(1).flatMap((end, index) => reader.push(stream.subarray(cuts[index], end)));
}

test('orders come out as they went in, however the pipe cuts them', () => {
  fc.assert(
    fc.property(fc.array(order, { maxLength: 8 }), fc.array(fc.nat(5_000)), (orders, ends) => {
      const frames = read(Buffer.concat(orders.flatMap(packOrder)), ends);
      expect(frames.map(unpackOrder)).toEqual(orders);
    }),
  );
});

test('answers come out as they went in, however the pipe cuts them', () => {
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 8 }), fc.array(fc.nat(5_000)), (answers, ends) => {
      const frames = read(Buffer.concat(answers.map(packAnswer)), ends);
      expect(frames.map(unpackAnswer)).toEqual(answers);
    }),
  );
});
