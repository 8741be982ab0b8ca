import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ServerProcess } from '../support/server-process.ts';
import { Workbench } from '../support/workbench.ts';

const bench = new Workbench();
let server: ServerProcess;

beforeAll(async () => {
  server = await bench.start();
});

afterAll(() => bench.clear());

test('the block to try it with shows a delivery that succeeded, each time that it is pasted', () => {
  const block = tryIt();
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-euc', block + block], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], PORT: new URL(server.urls.graphql).port },
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });

  const answers = stdout.trimEnd().split('\n');
  expect(answers).toHaveLength(4);
  for (const answer of [answers[1], answers[3]]) {
    expect(JSON.parse(answer ?? '')).toEqual({
      data: {
        event: {
          payload: { hello: 'world' },
          deliveries: [
            {
              status: 'SUCCEEDED',
              attempts: [{ statusCode: 200, durationMs: expect.any(Number), responseBody: '{"status":"ok"}' }],
            },
          ],
        },
      },
    });
  }
});

function tryIt(): string {
  const [, section = ''] = readFileSync('README.md', 'utf8').split('\n## Try it\n');
  const [, block = ''] = /^```sh\n(.*?)^```$/msu.exec(section) ?? [];
  return block;
}
