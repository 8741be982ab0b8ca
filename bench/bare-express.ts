import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { serveCalls } from './worker.ts';

/** The bare limit of accepting: the same route in the same framework, that checks the JSON and stores nothing. */
const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.all(['/server/incoming_data', '/incoming_data'], (request, response, next) => {
  readBody(request).then((body) => accept(body, response), next);
});

function accept(body: Buffer, response: ServerResponse): void {
  JSON.parse(body.toString('utf8'));
  const answer = JSON.stringify({
    success: true,
    message: 'Data Received',
    eventId: crypto.randomUUID(),
    deliveries: 0,
  });
  response
    .writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(answer) })
    .end(answer);
}

function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

const calls = {
  /** @returns the URL of the route. */
  start: () =>
    new Promise<string>((resolve) => {
      const server = app.listen(0, '127.0.0.1', () => {
        resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/server/incoming_data`);
      });
    }),
};
export type BareExpressCalls = typeof calls;
serveCalls(calls);
