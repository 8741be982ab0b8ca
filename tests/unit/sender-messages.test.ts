import { expect, test } from '@jest/globals';
import { MessageBatcher, type MessageBatch, unpack } from '../../src/dispatch/sender-messages.ts';

const MIB = 1_048_576;

function inSharedMemory(bytes: Buffer): Buffer<SharedArrayBuffer> {
  const shared = Buffer.from(new SharedArrayBuffer(bytes.length));
  bytes.copy(shared);
  return shared;
}

function posting(): { posted: MessageBatch<string>[]; batcher: MessageBatcher<string> } {
  const posted: MessageBatch<string>[] = [];
  return { posted, batcher: new MessageBatcher((batch) => void posted.push(batch)) };
}

test('what is added in one turn of the event loop travels together, and comes out as it went in', async () => {
  const { posted, batcher } = posting();
  const shared = inSharedMemory(Buffer.from('shared'));
  const messages = [Buffer.from('one'), undefined, shared, Buffer.alloc(0), Buffer.from('two')].map((body, id) => ({
    id,
    content: `content ${id}`,
    body,
  }));
  for (const message of messages) {
    batcher.add(message);
  }
  expect(posted).toEqual([]);
  await new Promise(setImmediate);
  expect(posted).toHaveLength(1);
  expect(posted.flatMap((batch) => unpack(structuredClone(batch)))).toEqual(messages);
});

test('a batch is posted as soon as there is a megabyte in it', () => {
  const { posted, batcher } = posting();
  for (let id = 0; id < 1_000; id += 1) {
    batcher.add({ id, content: '', body: Buffer.alloc(10_000) });
  }
  batcher.flush();
  expect(Math.max(...posted.map(({ bodies }) => bodies.byteLength))).toBeLessThan(MIB + 10_000);
  expect(posted).toHaveLength(Math.ceil(1_000 / Math.ceil(MIB / 10_000)));
  batcher.add({ id: 0, content: '', body: undefined }, MIB);
  expect(posted.at(-1)?.messages).toHaveLength(1);
});

test('bytes in shared memory are in no batch, however many refer to them', async () => {
  const { posted, batcher } = posting();
  const body = inSharedMemory(Buffer.alloc(MIB, 1));
  for (let id = 0; id < 100; id += 1) {
    batcher.add({ id, content: '', body });
  }
  await new Promise(setImmediate);
  expect(posted.map(({ bodies }) => bodies.byteLength)).toEqual([0]);
  const arrived = posted.flatMap((batch) => unpack(structuredClone(batch)));
  body[5] = 7;
  expect(new Set(arrived.map((message) => message.body?.[5]))).toEqual(new Set([7]));
});
