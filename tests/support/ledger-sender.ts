import { appendFileSync } from 'node:fs';
import { numberedPayload } from './numbered-payload.ts';

/**
 * A program of its own that posts events as fast as they are acknowledged, and writes each acknowledgement
 * into a ledger before anything else: what it says of the server outlives every kill of the server.
 * Each number is sent once; one whose answer was lost is never sent again.
 */
export interface Burst {
  readonly ingest: string;
  readonly token: string;
}

export type Report =
  | { readonly kind: 'acknowledged' }
  /** The server is gone; `lastNumber` is the last one that was sent. */
  | { readonly kind: 'ended'; readonly lastNumber: number }
  | { readonly kind: 'unexpected'; readonly answer: string };

const WORKERS = 16;
const ledger = process.argv[2] ?? '';
let lastNumber = 0;

process.on('message', (burst: Burst) => void send(burst));

async function send(burst: Burst): Promise<void> {
  await Promise.all(Array.from({ length: WORKERS }, () => postUntilGone(burst)));
  report({ kind: 'ended', lastNumber });
}

async function postUntilGone({ ingest, token }: Burst): Promise<void> {
  for (;;) {
    const number = ++lastNumber;
    const answer = await post(ingest, token, numberedPayload(number));
    if (answer === undefined) {
      return;
    }
    if (answer.status !== 202) {
      report({ kind: 'unexpected', answer: `${answer.status} ${answer.text}` });
      return;
    }
    appendFileSync(ledger, `${number} ${(JSON.parse(answer.text) as { eventId: string }).eventId}\n`);
    report({ kind: 'acknowledged' });
  }
}

/** @returns `undefined` when the connection broke before the whole answer had arrived. */
async function post(
  ingest: string,
  token: string,
  body: string,
): Promise<{ status: number; text: string } | undefined> {
  try {
    const headers = { 'Content-Type': 'application/json', 'CL-X-TOKEN': token };
    const response = await fetch(ingest, { method: 'POST', headers, body });
    return { status: response.status, text: await response.text() };
  } catch {
    return undefined;
  }
}

function report(message: Report): void {
  process.send?.(message);
}
