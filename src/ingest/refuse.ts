import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Refusal } from './refusal.ts';

/** How long, and for how many bytes, a refused sender may go on before the connection is cut. */
const LINGER_MS = 2_000;
const LINGER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Answers at once, though the body may still be on its way. Closing a connection with unread data makes the
 * kernel reset it, and the sender would never see the answer; so what comes after it is read and thrown away,
 * within limits.
 */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, body, headers }: Pick<Refusal, 'status' | 'body' | 'headers'>,
): void {
  if (request.destroyed && !request.complete) {
    // The sender has gone.
    response.destroy();
    return;
  }
  const text = JSON.stringify(body);
  const bodyIsRead = request.complete;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
    ...(!bodyIsRead && { Connection: 'close' }),
  });
  if (bodyIsRead || request.method === 'HEAD') {
    response.end(request.method === 'HEAD' ? undefined : text);
    return;
  }
  response.write(text);
  linger(request, () => response.end());
}

function linger(request: IncomingMessage, done: () => void): void {
  let discarded = 0;
  const timer = setTimeout(done, LINGER_MS);
  request.on('data', (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > LINGER_BYTES_MAX) {
      done();
    }
  });
  request.once('close', () => {
    clearTimeout(timer);
    done();
  });
  request.resume();
}
