import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpError } from '../access/http-error.ts';
import type { Bodies, Body, BodyRule } from './body.ts';
import { eventTypeOf, hopsOf, idempotencyKeyOf, mediaTypeOf } from './headers.ts';

export interface IngestRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly token: string;
}

/** What the headers say of the events in the body. */
export interface EventHead {
  /** The type that the sender named. */
  readonly type: string | null;
  readonly idempotencyKey: string | null;
  /** How many times the event was delivered before it arrived here. */
  readonly hops: number;
}

interface RequestRead<Rule> {
  readonly head: EventHead;
  readonly body: Body;
  /** By which the body was read. */
  readonly rule: Rule;
}

interface ReadingDependencies {
  readonly accountIdOf: (token: string) => Promise<string | undefined>;
  readonly bodies: Bodies;
}

/**
 * Reads headers and body.
 *
 * @param mediaTypes that are allowed
 * @param ruleFor the rule for a body of one of them
 * @throws HttpError
 */
export async function readRequest<MediaType extends string, Rule extends BodyRule>(
  { request, token }: IngestRequest,
  { accountIdOf, bodies }: ReadingDependencies,
  mediaTypes: readonly MediaType[],
  ruleFor: (mediaType: MediaType) => Rule,
): Promise<RequestRead<Rule>> {
  const isKnown = async () => (await accountIdOf(token)) !== undefined;
  try {
    const head = { idempotencyKey: idempotencyKeyOf(request), hops: hopsOf(request), type: eventTypeOf(request) };
    const rule = ruleFor(mediaTypeOf(request.headers['content-type'], mediaTypes));
    return { head, rule, body: await bodies.read(request, { token, isKnown }, rule) };
  } catch (error) {
    // The token is normally checked by the statement that stores the events. A refused request never reaches it.
    throw !tellsDetails(error) || (await isKnown()) ? error : HttpError.unauthenticated();
  }
}

/** Only senders with a valid token may see these errors. */
function tellsDetails(error: unknown): boolean {
  return error instanceof HttpError && error.status !== 401 && error.status !== 503;
}
