import { expect, test } from '@jest/globals';
import type { DestinationSource } from '../../src/core/outgoing-request.ts';
import {
  AnnouncedDestinations,
  MessageBatcher,
  type MessageBatch,
  unpack,
} from '../../src/dispatch/sender-messages.ts';
import { requestSource } from '../support/request-source.ts';

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

test('a thread gets each version of a destination once, keeps the latest, and knows what each slot holds', () => {
  const destinations = new AnnouncedDestinations();
  const slots = new Map<number, DestinationSource>();
  const announce = (number: number, version: number, characters = 20): DestinationSource | undefined => {
    const asked = requestSource({
      destinationId: `destination-${number}`,
      destinationVersion: version,
      url: 'u'.repeat(characters),
      headers: [],
    });
    const { slot, source, cleared } = destinations.announce(asked);
    for (const other of cleared) {
      slots.delete(other);
    }
    if (source !== undefined) {
      slots.set(slot, source);
    }
    const { destinationId, destinationVersion, url } = asked;
    expect(slots.get(slot)).toMatchObject({ destinationId, destinationVersion, url });
    return source;
  };
  for (let number = 0; number < 3_000; number += 1) {
    expect(announce(number, 1)).toBeDefined();
    expect(announce(0, 1)).toBeUndefined();
    expect(announce(number, 1)).toBeUndefined();
  }
  expect(slots.size).toBe(1_024);
  expect(announce(0, 2)).toBeDefined();
  expect(announce(0, 2)).toBeUndefined();
  expect(slots.size).toBe(1_024);
  for (let number = 0; number < 100; number += 1) {
    announce(number, 3, MIB / 2);
  }
  expect([...slots.values()].reduce((sum, { url }) => sum + url.length, 0)).toBeLessThanOrEqual(4 * MIB);
  announce(5, 4, 5 * MIB);
  expect(slots.size).toBe(1);
  expect(Math.max(...slots.keys())).toBeLessThanOrEqual(1_024);
});
