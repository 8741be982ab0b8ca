import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { assert as expectAlways, constantFrom, property, string } from 'fast-check';
import { curlCommand, type ShownRequest } from '../../src/core/curl-command.ts';

const REQUEST: ShownRequest = {
  method: 'POST',
  url: 'http://127.0.0.1:9/',
  headers: [
    ['Host', '127.0.0.1:9'],
    ['Accept', '*/*'],
    ['Content-Length', '2'],
  ],
  body: '{}',
};

/** What a shell makes of the command: the arguments of curl. */
function argumentsOf(request: ShownRequest): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }\n${curlCommand(request)}`;
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

function headerArgumentsOf(headers: ShownRequest['headers']): string[] {
  return argumentsOf({ ...REQUEST, headers, body: null }).slice(4);
}

describe('curlCommand', () => {
  test('names the method, the URL, the headers that curl does not make, and the body', () => {
    expect(argumentsOf(REQUEST)).toEqual([
      '--globoff',
      '--request',
      'POST',
      'http://127.0.0.1:9/',
      '--header',
      'Accept: */*',
      '--data-raw',
      '{}',
    ]);
  });

  test('sends no Accept header that the request does not have, and keeps an empty one', () => {
    expect(headerArgumentsOf([['X-Empty', '']])).toEqual(['--header', 'X-Empty;', '--header', 'Accept:']);
    expect(headerArgumentsOf([['accept', ' ']])).toEqual(['--header', 'accept;']);
  });

  test.each([
    `it's`,
    `'`,
    `''`,
    '$(exit 1)',
    '`exit 1`',
    '\\',
    '"',
    '!!',
    'a\nb',
    '*',
    '~',
    '$HOME',
    '✓',
    '{a,b}[1-3]',
  ])('brings the text %j through a shell as it is', (text) => {
    const url = `http://127.0.0.1:9/${text}`;
    const brought = argumentsOf({ ...REQUEST, url, headers: [['X-Text', text]], body: text });
    expect([brought[3], brought[5], brought.at(-1)]).toEqual([url, `X-Text: ${text}`, text]);
  });

  test('brings any text through a shell as it is', () => {
    const hostile = string({ unit: constantFrom(`'`, '"', '\\', '$', '`', '\n', ' ', '!', 'a', '#', ';', '&', '✓') });
    expectAlways(
      property(hostile, (body) => {
        expect(argumentsOf({ ...REQUEST, body }).at(-1)).toBe(body);
      }),
      { numRuns: 50 },
    );
  });
});
