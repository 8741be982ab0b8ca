import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { describeWhere } from '../support/requirement.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { storedEvents } from '../support/stored-events.ts';
import { Workbench } from '../support/workbench.ts';

const REQUESTS = 200;
const PAYLOAD = `{"filler":"${'x'.repeat(20_000)}"}`;
const UNAVAILABLE = { success: false, message: 'Service Unavailable' };
/** A request whose outcome could not be stored is sent again when its lease is over: 2 × this + 15 s. */
const DELIVERY_TIMEOUT = '1s';

const disk = new SmallDisk(8);

let bench: Workbench;

beforeEach(() => {
  bench = new Workbench();
});

afterEach(async () => {
  await bench.clear();
  disk.free();
});

afterAll(() => disk.unmount());

describeWhere(disk.isMounted, 'root, and the right to mount a small file system')('a full disk', () => {
  test('events are refused with 503 until there is space again, and what was accepted is delivered', async () => {
    const receiver = await bench.receiver();
    const server = await bench.start({ DATABASE_URL: `sqlite:${join(disk.path, 'test.db')}`, DELIVERY_TIMEOUT });
    const { id, token } = await server.createAccount();
    await server.createDestination(id, receiver.url());
    const held: ServerResponse[] = [];
    receiver.answerWith((response) => void held.push(response));
    const accepted = [await server.sendAccepted(token, PAYLOAD), await server.sendAccepted(token, PAYLOAD)];
    await receiver.arrived(2);

    disk.fill();
    for (const response of held) {
      response.end();
    }
    receiver.answerWith((response) => response.end());
    await server.said(/"during":"record"/u, 'stderr');

    const filledAt = performance.now();
    const answers = await Promise.all(Array.from({ length: REQUESTS }, () => answerOf(server, token)));
    const refused = answers.filter(({ status }) => status !== 202);
    expect(refused.length).toBeGreaterThan(REQUESTS / 2);
    for (const { status, type, retryAfter, body } of refused) {
      expect({ status, type, body }).toEqual({ status: 503, type: 'application/json', body: UNAVAILABLE });
      expect(retryAfter).toMatch(/^[1-9]\d*$/u);
    }
    accepted.push(...answers.flatMap(({ status, body }) => (status === 202 ? [String(body['eventId'])] : [])));

    expect((await storedEvents(server, id)).size).toBe(accepted.length);
    const { status, errors } = await server.graphql(`mutation {
        createAccount(input: { email: "late@example.com", name: "Late" }) { id }
      }`);
    expect({ status, code: errors?.[0]?.extensions.code }).toEqual({ status: 200, code: 'STORAGE_UNAVAILABLE' });
    expect(JSON.stringify(errors)).not.toMatch(/sqlite|disk|full| at /iu);
    const seconds = (performance.now() - filledAt) / 1000;
    const { length: errorLines } = levels(server).filter((level) => level >= 50);
    expect(errorLines).toBeGreaterThan(0);
    // Each part of the program (ingest, the API, and four of the dispatcher) may say it once in ten seconds.
    expect(errorLines).toBeLessThanOrEqual(6 * Math.ceil(seconds / 10));

    disk.free();
    const freedAt = performance.now();
    accepted.push(await server.sendAccepted(token, PAYLOAD));
    const ofAccount = () => storedEvents(server, id);
    const events = await server.eventually(ofAccount, (stored) =>
      [...stored.values()].every(({ deliveryStatuses }) => deliveryStatuses[0] === 'SUCCEEDED'),
    );
    expect([...events.keys()].toSorted()).toEqual(accepted.toSorted());
    // What was under way when the disk was full was recorded as soon as that was possible, and not sent again.
    const arrived = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(arrived).toHaveLength(accepted.length);
    expect(new Set(arrived).size).toBe(accepted.length);
    expect(await server.end()).toEqual({ code: 0, signal: null });
    process.stdout.write(
      `full disk: ${refused.length} of ${REQUESTS} events refused, ${errorLines} ERROR lines in ${seconds.toFixed(1)} s, ` +
        `all ${accepted.length} accepted delivered ${((performance.now() - freedAt) / 1000).toFixed(1)} s after space was freed\n`,
    );
  }, 90_000);
});

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly retryAfter: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

async function answerOf(server: ServerProcess, token: string): Promise<Answer> {
  const response = await server.send(token, PAYLOAD);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Record<string, unknown>,
  };
}

function levels(server: ServerProcess): number[] {
  return server.stderr
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { level: number }).level);
}
