import type { AcceptEvent } from './accept-event.ts';
import type { Bodies } from './body.ts';
import { PayloadCheck } from './payload-check.ts';
import { readRequest } from './request.ts';
import type { Receive } from './route.ts';

const MEDIA_TYPES = ['application/json'] as const;

interface Dependencies {
  readonly acceptEvent: AcceptEvent;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
  readonly bodies: Bodies;
  /** The largest event, before and after decompression. */
  readonly maxBytes: number;
}

/** A request whose body is one event. */
export function receiveEvent({ acceptEvent, maxBytes, ...reading }: Dependencies): Receive {
  const rule = () => ({ maxBytes, check: new PayloadCheck() });
  return async (request) => {
    const { head, body } = await readRequest(request, reading, MEDIA_TYPES, rule);
    try {
      return await acceptEvent({ token: request.token, payload: body.bytes, ...head });
    } finally {
      body.release();
    }
  };
}
