import { describe, expect, test } from '@jest/globals';
import { AddressRule, addressInUrl, parseAllowedDestination } from '../../src/core/address-rule.ts';

/** First and last address of each network that is refused, and their neighbours that are not. */
const NETWORKS: [what: string, first: string, last: string, before: string, after: string][] = [
  ['this network', '0.0.0.0', '0.255.255.255', '', '1.0.0.0'],
  ['private 10/8', '10.0.0.0', '10.255.255.255', '9.255.255.255', '11.0.0.0'],
  ['carrier-grade NAT', '100.64.0.0', '100.127.255.255', '100.63.255.255', '100.128.0.0'],
  ['loopback', '127.0.0.0', '127.255.255.255', '126.255.255.255', '128.0.0.0'],
  ['Azure platform', '168.63.129.16', '168.63.129.16', '168.63.129.15', '168.63.129.17'],
  ['link-local', '169.254.0.0', '169.254.255.255', '169.253.255.255', '169.255.0.0'],
  ['private 172.16/12', '172.16.0.0', '172.31.255.255', '172.15.255.255', '172.32.0.0'],
  ['protocol assignments', '192.0.0.0', '192.0.0.255', '191.255.255.255', '192.0.1.0'],
  ['documentation 1', '192.0.2.0', '192.0.2.255', '192.0.1.255', '192.0.3.0'],
  ['AS112', '192.31.196.0', '192.31.196.255', '192.31.195.255', '192.31.197.0'],
  ['multicast tunnelling', '192.52.193.0', '192.52.193.255', '192.52.192.255', '192.52.194.0'],
  ['6to4 relays', '192.88.99.0', '192.88.99.255', '192.88.98.255', '192.88.100.0'],
  ['private 192.168/16', '192.168.0.0', '192.168.255.255', '192.167.255.255', '192.169.0.0'],
  ['AS112 direct', '192.175.48.0', '192.175.48.255', '192.175.47.255', '192.175.49.0'],
  ['benchmarking', '198.18.0.0', '198.19.255.255', '198.17.255.255', '198.20.0.0'],
  ['documentation 2', '198.51.100.0', '198.51.100.255', '198.51.99.255', '198.51.101.0'],
  ['documentation 3', '203.0.113.0', '203.0.113.255', '203.0.112.255', '203.0.114.0'],
  ['multicast and reserved', '224.0.0.0', '255.255.255.255', '223.255.255.255', ''],
  ['all below 2000::', '::', '1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '', '2000::'],
  ['assignments, Teredo', '2001::', '2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff', '2000:ffff::1', '2001:200::'],
  ['documentation', '2001:db8::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db7:ffff::', '2001:db9::'],
  ['6to4', '2002::', '2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:ffff:ffff::', '2003::'],
  ['AS112', '2620:4f:8000::', '2620:4f:8000:ffff:ffff:ffff:ffff:ffff', '2620:4f:7fff::', '2620:4f:8001::'],
  ['documentation', '3fff::', '3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff', '3ffe:ffff::', '3fff:1000::'],
  ['all from 4000::', '4000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '3fff:ffff::', ''],
];

const REFUSED: [what: string, address: string][] = [
  ['unspecified', '::'],
  ['loopback', '::1'],
  ['IPv4-compatible', '::127.0.0.1'],
  ['IPv4-mapped loopback', '::ffff:127.0.0.1'],
  ['IPv4-mapped in groups', '::FFFF:7f00:1'],
  ['IPv4-mapped and public', '::ffff:8.8.8.8'],
  ['IPv4-translated', '::ffff:0:7f00:1'],
  ['NAT64', '64:ff9b::7f00:1'],
  ['NAT64 of a public address', '64:ff9b::8.8.8.8'],
  ['local-use NAT64', '64:ff9b:1::7f00:1'],
  ['discard', '100::1'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['ORCHID', '2001:20::1'],
  ['6to4 of loopback', '2002:7f00:1::'],
  ['segment routing', '5f00::1'],
  ['unique local', 'fc00::1'],
  ['metadata of Amazon', 'fd00:ec2::254'],
  ['metadata of most clouds', '169.254.169.254'],
  ['metadata of Alibaba', '100.100.100.200'],
  ['metadata of Oracle', '192.0.0.192'],
  ['link-local', 'fe80::1'],
  ['link-local with a zone', 'fe80::1%lo'],
  ['a public address with a zone', '2606:4700::1111%lo'],
  ['site-local', 'fec0::1'],
  ['multicast', 'ff02::1'],
  ['not an address', '127.1'],
  ['nothing', ''],
];

const rule = new AddressRule({ allowed: [], own: [] });

describe('an address that belongs to nobody on the internet is refused', () => {
  test.each(NETWORKS)('%s: %s to %s, and not its neighbours', (_what, first, last, before, after) => {
    expect([first, last].map((address) => rule.allowsAddress(address))).toEqual([false, false]);
    const neighbours = [before, after].filter((address) => address !== '');
    expect(neighbours.filter((address) => !rule.allowsAddress(address))).toEqual([]);
  });

  test.each(REFUSED)('%s: %s', (_what, address) => {
    expect(rule.allowsAddress(address)).toBe(false);
  });

  test.each(['8.8.8.8', '1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '2a00:1450:4001::1'])(
    'and others are not: %s',
    (address) => {
      expect(rule.allowsAddress(address)).toBe(true);
    },
  );

  test('the addresses that the server listens at are refused', () => {
    const own = new AddressRule({ allowed: [], own: ['8.8.4.4', '2606:4700::1'] });
    expect(['8.8.4.4', '2606:4700:0::1', '8.8.4.5'].map((address) => own.allowsAddress(address))).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe('what is allowed all the same', () => {
  const some = new AddressRule({
    allowed: ['10.1.0.0/16', '127.0.0.2', 'fd12::/16', '8.8.4.4', 'hooks.internal'],
    own: ['8.8.4.4'],
  });

  test.each<[address: string, isAllowed: boolean]>([
    ['10.1.0.0', true],
    ['10.1.255.255', true],
    ['10.2.0.0', false],
    ['127.0.0.2', true],
    ['127.0.0.1', false],
    ['127.0.0.3', false],
    ['fd12::1', true],
    ['fd13::1', false],
    ['8.8.4.4', true],
    ['::ffff:10.1.0.1', false],
  ])('%s: %j', (address, isAllowed) => {
    expect(some.allowsAddress(address)).toBe(isAllowed);
  });

  test.each<[host: string, isAllowed: boolean]>([
    ['hooks.internal', true],
    ['HOOKS.Internal.', true],
    ['a.hooks.internal', false],
    ['hooks.internal.example', false],
    ['10.1.0.0', false],
  ])('the host %s: %j', (host, isAllowed) => {
    expect(some.allowsHost(host)).toBe(isAllowed);
  });

  test.each([
    ['64:ff9b::/96', '64:ff9b::8.8.8.8', '64:ff9b::127.0.0.1'],
    ['64:ff9b:1::/48', '64:ff9b:1::808:808', '64:ff9b:1:2::a00:1'],
    ['::ffff:0:0/96', '::ffff:8.8.8.8', '::ffff:169.254.169.254'],
    ['2002::/16', '2002:808:808::1', '2002:7f00:1::1'],
  ])('a network that embeds IPv4 addresses is no way around: %s', (network, good, bad) => {
    const embedding = new AddressRule({ allowed: [network], own: [] });
    expect([good, bad].map((address) => embedding.allowsAddress(address))).toEqual([true, false]);
    const both = new AddressRule({ allowed: [network, '127.0.0.0/8', '10.0.0.0/8', '169.254.0.0/16'], own: [] });
    expect(both.allowsAddress(bad)).toBe(true);
  });

  test('an IPv6 network says nothing of IPv4 addresses', () => {
    expect(new AddressRule({ allowed: ['::/0'], own: [] }).allowsAddress('127.0.0.1')).toBe(false);
    expect(new AddressRule({ allowed: ['::ffff:0:0/96'], own: [] }).allowsAddress('127.0.0.1')).toBe(false);
  });

  test('an IPv4-compatible address is not taken for an IPv4-mapped one', () => {
    const mapped = new AddressRule({ allowed: ['::ffff:0:0/96'], own: [] });
    expect(['::ffff:8.8.8.8', '::8.8.8.8'].map((address) => mapped.allowsAddress(address))).toEqual([true, false]);
  });
});

test.each([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['fd00::/8', 'fd00::/8'],
  ['::1', '::1'],
  ['127.0.0.1', '127.0.0.1'],
  ['Hooks.Example.', 'hooks.example'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['my_host', 'my_host'],
  ['10.0.0.0/33', undefined],
  ['::/129', undefined],
  ['hooks/8', undefined],
  ['10.0.0.0/', undefined],
  ['http://hooks.example', undefined],
  ['hooks.example:80', undefined],
  ['*.example', undefined],
  ['fe80::1%lo', undefined],
  ['a b', undefined],
  ['', undefined],
])('the entry %j is read as %j', (text, entry) => {
  expect(parseAllowedDestination(text)).toBe(entry);
});

test.each([
  ['http://127.0.0.1/', '127.0.0.1'],
  ['http://127.1', '127.0.0.1'],
  ['http://2130706433/', '127.0.0.1'],
  ['http://0x7f.1/', '127.0.0.1'],
  ['http://0177.0.0.1/', '127.0.0.1'],
  ['http://127.0.0.1./', '127.0.0.1'],
  ['http://１２７.０.０.１/', '127.0.0.1'],
  ['http://127。0。0。1/', '127.0.0.1'],
  ['http://%31%32%37.0.0.1/', '127.0.0.1'],
  ['http://①②⑦.0.0.1/', '127.0.0.1'],
  ['http://[::ffff:7f00:1]/', '::ffff:7f00:1'],
  ['http://[0:0:0:0:0:0:0:1]/', '::1'],
  ['http:\\\\127.0.0.1\\', '127.0.0.1'],
  ['http://0/', '0.0.0.0'],
  ['http://example.com/127.0.0.1', undefined],
  ['http://127.0.0.1.example/', undefined],
])('%s names the address %j', (url, address) => {
  expect(addressInUrl(url)).toBe(address);
});
