import { describe, expect, test } from '@jest/globals';
import { isOutage } from '../../src/storage/errors.ts';
import { VaultError } from '../../src/core/vault.ts';

function failure(fields: Record<string, unknown>, message = 'it failed'): Error {
  return Object.assign(new Error(message), fields);
}

describe('an outage of the database is', () => {
  test.each([
    ['a server that refuses connections', failure({ code: 'ECONNREFUSED', syscall: 'connect' })],
    ['a name that is not found', failure({ code: 'ENOTFOUND', syscall: 'getaddrinfo' })],
    [
      'a name none of whose addresses answers',
      new AggregateError([failure({ code: 'ECONNREFUSED', syscall: 'connect' })]),
    ],
    ['a connection that broke', failure({}, 'Connection terminated unexpectedly')],
    ['no connection in time', failure({}, 'timeout exceeded when trying to connect')],
    ['no answer in time', failure({}, 'Query read timeout')],
    ['a statement that was over its time', failure({ code: '57014' })],
    ['a server that is shutting down', failure({ code: '57P01' })],
    ['a full disk', failure({ code: '53100' })],
    ['a lock that is held', failure({ code: 'SQLITE_BUSY' })],
    ['a full disk under SQLite', failure({ code: 'SQLITE_FULL' })],
    ['a file that cannot be read', failure({ code: 'SQLITE_IOERR_READ' })],
    ['a thread of the connection that has ended', failure({ code: 'DATABASE_CLOSED' })],
    ['any of these as the cause of another', new Error('the mapper', { cause: failure({ code: '57P03' }) })],
  ] as [string, Error][])('%s', (_title, error) => {
    expect(isOutage(error)).toBe(true);
  });
});

describe('a fault of the program is', () => {
  test.each([
    ['a table that is not there', failure({ code: '42P01' })],
    ['a constraint', failure({ code: '23505' })],
    ['a constraint of SQLite', failure({ code: 'SQLITE_CONSTRAINT_UNIQUE' })],
    ['a statement that SQLite does not understand', failure({ code: 'SQLITE_ERROR' }, 'near "selct": syntax error')],
    ['a secret that does not open', new VaultError('It was encrypted with another key.')],
    ['a mistake', new TypeError('x is not a function')],
    ['what is no error at all', 'ECONNREFUSED'],
  ] as [string, unknown][])('%s', (_title, error) => {
    expect(isOutage(error)).toBe(false);
  });
});
