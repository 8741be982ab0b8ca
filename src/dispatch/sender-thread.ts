/** Runs in a thread of its own, and makes the requests that it is told to. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { HttpSender } from './http-sender.ts';
import { Outbox, type Piece, unpack } from './sender-parcels.ts';
import type { Order, OutcomeContent, RequestContent, ThreadOptions } from './sender-protocol.ts';

const mainThread = parentPort as MessagePort;
const sender = new HttpSender({ clock: systemClock, ...(workerData as ThreadOptions) });
const outcomes = new Outbox<OutcomeContent>((parcel, transfer) => mainThread.postMessage(parcel, transfer));
let underWay = 0;
let isClosing = false;

mainThread.on('message', (order: Order) => {
  if (order === 'close') {
    isClosing = true;
    sender.close();
    endWhenDone();
    return;
  }
  for (const piece of unpack(order)) {
    underWay += 1;
    void exchange(piece);
  }
});

async function exchange({ id, content, body }: Piece<RequestContent>): Promise<void> {
  const { responseBody = null, ...outcome } = (await sender.send({ ...content, body })) ?? {};
  outcomes.add({ id, content: 'startedAt' in outcome ? outcome : undefined, body: responseBody ?? undefined });
  underWay -= 1;
  endWhenDone();
}

function endWhenDone(): void {
  if (isClosing && underWay === 0) {
    outcomes.flush();
    mainThread.close();
  }
}
