import { networkInterfaces } from 'node:os';
import { expect, test } from '@jest/globals';
import { ownAddresses } from '../../src/http/http-server.ts';

test('a server that listens on one address is reached there', async () => {
  expect(await ownAddresses('127.0.0.3')).toEqual(['127.0.0.3']);
  expect(await ownAddresses('::1')).toEqual(['::1']);
});

test('one that listens on a name is reached where the name leads', async () => {
  expect(await ownAddresses('localhost')).toContain('127.0.0.1');
});

test.each(['0.0.0.0', '::'])('one that listens on %s is reached at every address of the machine', async (host) => {
  const all = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));
  expect(all).toContain('127.0.0.1');
  expect(await ownAddresses(host)).toEqual(all);
});
