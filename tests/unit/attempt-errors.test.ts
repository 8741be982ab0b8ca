import { expect, test } from '@jest/globals';
import { attemptMessage } from '../../src/core/delivery.ts';
import { attemptFailureOf } from '../../src/dispatch/attempt-errors.ts';

function failed(code: string, message = '/home/somebody: write failed at Object.<anonymous>'): Error {
  const cause = Object.assign(new Error(message), { code });
  return Object.assign(new Error('The request has failed.', { cause }), { code: 'ERR_OTHER' });
}

test.each([
  ['CERT_HAS_EXPIRED', 'TLS', 'The certificate has expired.'],
  ['CERT_NOT_YET_VALID', 'TLS', 'The certificate is not valid yet.'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'TLS', 'The certificate is self-signed.'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'TLS', 'The certificate was not issued by a known authority.'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'TLS', 'The certificate is for another host name.'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'TLS', 'The other side and Data Pusher do not agree on a secure connection.'],
  ['ENOTFOUND', 'DNS', 'The host name leads to no address.'],
  ['ENETUNREACH', 'UNREACHABLE', 'There is no way to the network of the host.'],
  ['EADDRNOTAVAIL', 'UNREACHABLE', 'The host cannot be reached.'],
  ['HPE_INVALID_CONSTANT', 'INVALID_RESPONSE', 'The response is not valid HTTP.'],
  ['ERR_INVALID_CHAR', 'INVALID_REQUEST', 'The request cannot be written as HTTP.'],
])('%s is %s, in words of our own', (code, error, sentence) => {
  expect(attemptFailureOf(failed(code))).toEqual({ error, message: `${sentence} (${code})` });
});

test('what our own errors say is passed on', () => {
  expect(attemptFailureOf(failed('ERR_ADDRESS_REFUSED', 'The URL names 10.0.0.1.'))).toEqual({
    error: 'ADDRESS_REFUSED',
    message: 'The URL names 10.0.0.1.',
  });
});

test('of an unknown error only the code is told, and of one without a code nothing', () => {
  expect(attemptFailureOf(failed('not a code'))).toEqual({
    error: 'UNKNOWN',
    message: 'The request failed. (ERR_OTHER)',
  });
  expect(attemptFailureOf(new Error('secret'))).toEqual({ error: 'UNKNOWN', message: null });
  expect(attemptFailureOf('secret', 'INVALID_REQUEST')).toEqual({ error: 'INVALID_REQUEST', message: null });
});

test('a message has 500 characters that every database and terminal takes', () => {
  expect(attemptMessage(`a\u0000b\u001b[31m\n${'x'.repeat(600)}`)).toBe(`a b [31m ${'x'.repeat(491)}`);
  expect(attemptMessage(`${'x'.repeat(499)}😀`)).toBe(`${'x'.repeat(499)}\ufffd`);
});
