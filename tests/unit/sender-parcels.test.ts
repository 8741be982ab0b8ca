import { expect, test } from '@jest/globals';
import { Outbox, type Parcel, unpack } from '../../src/dispatch/sender-messages.ts';

const MIB = 1_048_576;

function inSharedMemory(bytes: Buffer): Buffer<SharedArrayBuffer> {
  const shared = Buffer.from(new SharedArrayBuffer(bytes.length));
  bytes.copy(shared);
  return shared;
}

function posting(): { posted: Parcel<string>[]; outbox: Outbox<string> } {
  const posted: Parcel<string>[] = [];
  return { posted, outbox: new Outbox((parcel) => void posted.push(parcel)) };
}

test('what is added in one turn of the event loop travels together, and comes out as it went in', async () => {
  const { posted, outbox } = posting();
  const shared = inSharedMemory(Buffer.from('shared'));
  const pieces = [Buffer.from('one'), undefined, shared, Buffer.alloc(0), Buffer.from('two')].map((body, id) => ({
    id,
    content: `content ${id}`,
    body,
  }));
  for (const piece of pieces) {
    outbox.add(piece);
  }
  expect(posted).toEqual([]);
  await new Promise(setImmediate);
  expect(posted).toHaveLength(1);
  expect(posted.flatMap((parcel) => unpack(structuredClone(parcel)))).toEqual(pieces);
});

test('a parcel is posted as soon as there is a megabyte in it', () => {
  const { posted, outbox } = posting();
  for (let id = 0; id < 1_000; id += 1) {
    outbox.add({ id, content: '', body: Buffer.alloc(10_000) });
  }
  outbox.flush();
  expect(Math.max(...posted.map(({ bodies }) => bodies.byteLength))).toBeLessThan(MIB + 10_000);
  expect(posted).toHaveLength(Math.ceil(1_000 / Math.ceil(MIB / 10_000)));
  outbox.add({ id: 0, content: '', body: undefined }, MIB);
  expect(posted.at(-1)?.pieces).toHaveLength(1);
});

test('bytes in shared memory are in no parcel, however many refer to them', async () => {
  const { posted, outbox } = posting();
  const body = inSharedMemory(Buffer.alloc(MIB, 1));
  for (let id = 0; id < 100; id += 1) {
    outbox.add({ id, content: '', body });
  }
  await new Promise(setImmediate);
  expect(posted.map(({ bodies }) => bodies.byteLength)).toEqual([0]);
  const arrived = posted.flatMap((parcel) => unpack(structuredClone(parcel)));
  body[5] = 7;
  expect(new Set(arrived.map((piece) => piece.body?.[5]))).toEqual(new Set([7]));
});
