import { appendFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { numberedPayload } from './numbered-payload.ts';

/**
 * A program of its own that keeps posting events to the servers it is told of, whatever becomes of them, and
 * writes each acknowledgement into a ledger before anything else. Each number is sent once.
 */
export interface Aim {
  readonly ingests: readonly string[];
  readonly token: string;
  /** No number beyond this one is sent. */
  readonly lastNumber?: number;
}

export interface Answered {
  readonly number: number;
  /** `undefined` when the connection broke before the whole answer had arrived. */
  readonly status: number | undefined;
  readonly durationMs: number;
}

const WORKERS = 8;
/** Between two posts of one worker: a steady load that leaves the machine room to recover. */
const PAUSE_MS = 50;
const ledger = process.argv[2] ?? '';
let aim: Aim | undefined;
let lastNumber = 0;
let running: Promise<unknown> | undefined;

process.on('message', (message: Aim | 'stop') => {
  if (message === 'stop') {
    aim = undefined;
    void running?.then(() => process.disconnect?.());
    return;
  }
  aim = message;
  running ??= Promise.all(Array.from({ length: WORKERS }, () => work()));
});

async function work(): Promise<void> {
  while (aim !== undefined && lastNumber < (aim.lastNumber ?? Infinity)) {
    const number = ++lastNumber;
    const began = performance.now();
    const status = await post(aim, number);
    const durationMs = performance.now() - began;
    process.send?.({ number, status, durationMs } satisfies Answered);
    await setTimeout(PAUSE_MS);
  }
}

/** Goes to the servers in turn; to the next one where nobody takes the connection, which is all that a proxy may repeat. */
async function post({ ingests, token }: Aim, number: number): Promise<number | undefined> {
  for (let tries = 0; tries < ingests.length; tries += 1) {
    try {
      return await postTo(ingests[(number + tries) % ingests.length] ?? '', token, number);
    } catch (error) {
      if (!isRefused(error)) {
        return undefined;
      }
    }
  }
  return undefined;
}

async function postTo(ingest: string, token: string, number: number): Promise<number> {
  const headers = { 'Content-Type': 'application/json', 'CL-X-TOKEN': token };
  const response = await fetch(ingest, { method: 'POST', headers, body: numberedPayload(number) });
  const text = await response.text();
  if (response.status === 202) {
    appendFileSync(ledger, `${number} ${(JSON.parse(text) as { eventId: string }).eventId}\n`);
  }
  return response.status;
}

function isRefused(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: string } };
  return cause?.code === 'ECONNREFUSED';
}
