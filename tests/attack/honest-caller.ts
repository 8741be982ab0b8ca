/** A program of its own: an application that posts an event on a new connection, ten times a second, and takes note. */
import http from 'node:http';
import { setTimeout } from 'node:timers/promises';

const [, , ingest = '', token = ''] = process.argv;
const PAUSE_MS = 100;
const GIVE_UP_MS = 10_000;

export interface Honest {
  /** `undefined` where there was no answer. */
  readonly status: number | undefined;
  readonly durationMs: number;
}

async function send(): Promise<void> {
  const began = performance.now();
  const status = await post();
  process.send?.({ status, durationMs: performance.now() - began } satisfies Honest);
}

function post(): Promise<number | undefined> {
  return new Promise((resolve) => {
    const headers = { 'Content-Type': 'application/json', 'CL-X-TOKEN': token };
    const request = http.request(ingest, { method: 'POST', agent: false, headers, timeout: GIVE_UP_MS }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
    request.end('{"honest":true}');
  });
}

process.on('disconnect', () => process.exit());
for (;;) {
  await Promise.all([send(), setTimeout(PAUSE_MS)]);
}
