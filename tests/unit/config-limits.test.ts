import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../src/config/config.ts';

const EXPOSED = {
  HOST: '0.0.0.0',
  ADMIN_TOKEN: 'a'.repeat(24),
  ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
};
const limitsOf = (variables: Record<string, string>) => parseConfig(variables).limits;

describe('the limits', () => {
  test('are off on loopback', () => {
    expect(limitsOf({})).toEqual({ ingest: undefined, authFailures: undefined, trustProxy: false });
  });

  test('are on where strangers can come in', () => {
    expect(limitsOf(EXPOSED)).toEqual({
      ingest: { rate: { count: 100, perMs: 1_000 }, burst: 1_000 },
      authFailures: { count: 20, perMs: 60_000 },
      trustProxy: false,
    });
    const off = limitsOf({ ...EXPOSED, INGEST_RATE: 'none', AUTH_FAILURE_RATE: 'none' });
    expect(off).toEqual({ ingest: undefined, authFailures: undefined, trustProxy: false });
  });

  test.each([
    ['6000/m', 6_000, 60_000, 1_000],
    ['1/h', 1, 3_600_000, 1],
    ['7/d', 7, 86_400_000, 1],
  ])('INGEST_RATE %s lets through what comes in ten seconds at once', (rate, count, perMs, burst) => {
    expect(limitsOf({ INGEST_RATE: rate }).ingest).toEqual({ rate: { count, perMs }, burst });
  });

  test('INGEST_BURST says how much at once', () => {
    expect(limitsOf({ INGEST_RATE: '1/s', INGEST_BURST: '5' }).ingest).toMatchObject({ burst: 5 });
  });

  test.each([
    ['none', false],
    ['2', 2],
    ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
    ['loopback,uniquelocal,fd00::/8', ['loopback', 'uniquelocal', 'fd00::/8']],
  ])('TRUST_PROXY %s is understood', (text, trusted) => {
    expect(limitsOf({ TRUST_PROXY: text }).trustProxy).toEqual(trusted);
  });

  test.each([
    ...['100', '0/s', '1.5/s', '100/ms', 's', '-1/s', '100 / s', '1000000/s'].map(
      (rate) => ['INGEST_RATE', rate, 'INGEST_RATE must be a number and a time'] as const,
    ),
    ['AUTH_FAILURE_RATE', '20', 'AUTH_FAILURE_RATE must be a number and a time'] as const,
    ['INGEST_BURST', '0', 'INGEST_BURST must be a whole number from 1'] as const,
    ...['true', '0', '100', '1.5', 'proxy.example.com', '10.0.0.0/0', '10.0.0.0/33', '10/8', '::/129', '1.2.3.4,'].map(
      (trusted) => ['TRUST_PROXY', trusted, 'TRUST_PROXY must be the number of proxies in front'] as const,
    ),
  ])('%s=%s is refused in one line that names it', (name, value, message) => {
    const act = () => parseConfig({ [name]: value });
    expect(act).toThrow(message);
    expect(act).not.toThrow(/\n/);
  });
});
