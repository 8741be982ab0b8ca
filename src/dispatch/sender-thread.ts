/** Runs in a thread of its own, and makes the requests that it is told to. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type Target, targetOf } from '../core/outgoing-request.ts';
import { HttpSender } from './http-sender.ts';
import {
  type Order,
  MessageBatcher,
  type OutcomeContent,
  type Message,
  type RequestContent,
  type ThreadOptions,
  type Announcement,
  unpack,
} from './sender-messages.ts';

const mainThread = parentPort as MessagePort;
const options = workerData as ThreadOptions;
const sender = new HttpSender(options);
const outcomes = new MessageBatcher<OutcomeContent>((batch, transfer) => mainThread.postMessage(batch, transfer));
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
  for (const message of unpack(order)) {
    underWay += 1;
    void exchange(message);
  }
});

async function exchange({ id, content, body = Buffer.alloc(0) }: Message<RequestContent>): Promise<void> {
  const { destination, sentAt, ...message } = content;
  const outcome = await sender.sendTo(targetIn(destination), { ...message, payload: body }, sentAt);
  const { responseBody = null, ...rest } = outcome ?? {};
  outcomes.add({ id, content: 'startedAt' in rest ? rest : undefined, body: responseBody ?? undefined });
  underWay -= 1;
  endWhenDone();
}

function targetIn({ slot, source, emptied }: Announcement): Target {
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
