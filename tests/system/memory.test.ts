import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Workbench } from '../support/workbench.ts';

const MIB = 1_048_576;
const PEAK_MAX_MB = 600;

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});
afterEach(() => bench.clear());

function peakMb(pid: number): number {
  const kib = /^VmHWM:\s+(?<kib>\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.groups?.['kib'];
  return (Number(kib) * 1_024) / 1_000_000;
}

test.each([
  { events: 1, bytes: MIB, destinations: 100 },
  { events: 200, bytes: MIB / 16, destinations: 10 },
  { events: 8, bytes: 60 * MIB, destinations: 1 },
])(
  '$events x $bytes bytes to $destinations destinations take no more memory than one',
  async (load) => {
    const server = await bench.start({ MAX_BODY_BYTES: `${64 * MIB}` });
    const receiver = await bench.receiver();
    const { id, token } = await server.createAccount();
    for (let number = 0; number < load.destinations; number += 1) {
      await server.createDestination(id, receiver.url(`/${number}`));
    }
    const body = `{"a":"${'x'.repeat(load.bytes - 8)}"}`;
    const headers = { 'Content-Type': 'application/json', 'CL-X-TOKEN': token };
    for (let number = 0; number < load.events; number += 1) {
      const response = await fetch(server.urls.ingest, { method: 'POST', headers, body });
      expect(response.status).toBe(202);
    }
    const received = await receiver.arrived(load.events * load.destinations);
    expect(received.every((one) => one.body.length === load.bytes)).toBe(true);
    expect(peakMb(server.pid)).toBeLessThan(PEAK_MAX_MB);
  },
  300_000,
);
