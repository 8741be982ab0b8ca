import type { AccountQuota } from '../access/limits.ts';
import type { AcceptBatch } from './accept-batch.ts';
import { ArrayCheck, type BatchCheck, LinesCheck } from './batch-check.ts';
import type { Bodies } from './body.ts';
import { readRequest } from './request.ts';
import type { Receive } from './route.ts';

const CHECKS = { 'application/json': ArrayCheck, 'application/x-ndjson': LinesCheck };
type MediaType = keyof typeof CHECKS;
const MEDIA_TYPES = Object.keys(CHECKS) as MediaType[];

interface Dependencies {
  readonly acceptBatch: AcceptBatch;
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
  readonly bodies: Bodies;
  /** The largest batch, before and after decompression. */
  readonly maxBytes: number;
  /** The largest event in it. */
  readonly eventMaxBytes: number;
  /** `undefined` when accounts may send any number of events. */
  readonly quota: AccountQuota | undefined;
}

/** A request whose body is a batch of events, which are stored together or not at all. */
export function receiveBatch({ acceptBatch, maxBytes, eventMaxBytes, quota, ...reading }: Dependencies): Receive {
  const ruleFor = (mediaType: MediaType) => {
    const check: BatchCheck = new CHECKS[mediaType](eventMaxBytes);
    return { maxBytes, check };
  };
  return async (request) => {
    const { token, response } = request;
    const { head, body, rule } = await readRequest(request, reading, MEDIA_TYPES, ruleFor);
    try {
      const payloads = rule.check.events(body.bytes);
      await quota?.takeBatch(token, payloads.length, (headers) => response.setHeaders(headers));
      return await acceptBatch({ token, body: body.bytes, payloads, ...head });
    } finally {
      body.release();
    }
  };
}
