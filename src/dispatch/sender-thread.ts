/** The entry point of a sender thread: makes the requests that the main thread posts. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type Target, targetOf } from '../core/outgoing-request.ts';
import { HttpSender } from './http-sender.ts';
import {
  type Announcement,
  type Message,
  MessageBatcher,
  type OutcomeContent,
  type RequestContent,
  type ThreadOptions,
  type ToThread,
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

mainThread.on('message', (message: ToThread) => {
  if (message === 'close') {
    isClosing = true;
    sender.close();
    endWhenDone();
    return;
  }
  for (const request of unpack(message)) {
    underWay += 1;
    void exchange(request);
  }
});

async function exchange({ id, content, body = Buffer.alloc(0) }: Message<RequestContent>): Promise<void> {
  const { destination, sentAt, timeoutMs, ...message } = content;
  const outcome = await sender.sendTo(targetIn(destination), { ...message, payload: body }, { sentAt, timeoutMs });
  if (outcome === undefined) {
    outcomes.add({ id, content: undefined, body: undefined });
  } else {
    const { responseBody, ...rest } = outcome;
    outcomes.add({ id, content: rest, body: responseBody ?? undefined });
  }
  underWay -= 1;
  endWhenDone();
}

function targetIn({ slot, source, cleared }: Announcement): Target {
  for (const other of cleared) {
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
