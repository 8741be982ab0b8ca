/** Runs in a thread of its own, and makes the requests that it is told to. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type Target, targetOf } from '../core/outgoing-request.ts';
import { HttpSender } from './http-sender.ts';
import {
  type Order,
  Outbox,
  type OutcomeContent,
  type Piece,
  type RequestContent,
  type ThreadOptions,
  type Told,
  unpack,
} from './sender-messages.ts';

const mainThread = parentPort as MessagePort;
const options = workerData as ThreadOptions;
const sender = new HttpSender(options);
const outcomes = new Outbox<OutcomeContent>((parcel, transfer) => mainThread.postMessage(parcel, transfer));
/** By slot. */
const targets = new Map<number, Target>();
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

async function exchange({ id, content, body = Buffer.alloc(0) }: Piece<RequestContent>): Promise<void> {
  const { destination, sentAt, ...message } = content;
  const outcome = await sender.sendTo(targetIn(destination), { ...message, payload: body }, sentAt);
  const { responseBody = null, ...rest } = outcome ?? {};
  outcomes.add({ id, content: 'startedAt' in rest ? rest : undefined, body: responseBody ?? undefined });
  underWay -= 1;
  endWhenDone();
}

function targetIn({ slot, source, emptied }: Told): Target {
  for (const other of emptied) {
    targets.delete(other);
  }
  if (source !== undefined) {
    targets.set(slot, targetOf(source, options.userAgent));
  }
  return targets.get(slot) as Target;
}

function endWhenDone(): void {
  if (isClosing && underWay === 0) {
    outcomes.flush();
    mainThread.close();
  }
}
