import type { Clock } from '../core/clock.ts';
import { parseDottedPath } from '../core/dotted-path.ts';
import { DomainError } from '../core/errors.ts';
import { eventTypeIn, faultInEventType, parseEventTypes } from '../core/event-type.ts';
import { parseFilter } from '../core/filter-input.ts';
import { deliveryIdOf, type IdSource } from '../core/ids.ts';
import type { HeaderEntry } from '../core/inputs.ts';
import type { DestinationSource } from '../core/outgoing-request.ts';
import { noRequest, previewRequest, type RequestPreview } from '../core/request-preview.ts';
import { LazyPayload, type RouteOutcome, routeTo, type RoutingRules } from '../core/routing.ts';
import type { SigningSecret } from '../core/signature.ts';
import type { Vault } from '../core/vault.ts';
import type { AccountEntity, DestinationEntity } from '../storage/entities.ts';
import type { Transformation, Transformed } from '../transform/transformer.ts';

/** As an argument, the payload must fit into a command line: Linux takes 128 KiB for one argument. */
export const PREVIEW_PAYLOAD_BYTES_MAX = 100 * 1024;

export interface PreviewedEvent {
  readonly payloadText: string;
  /** As the header X-Event-Type would name it. */
  readonly type: string | null;
}

export interface DeliveryPreview extends RequestPreview {
  readonly outcome: RouteOutcome;
  /** The condition that fails, if the event is filtered. */
  readonly path: string | null;
}

interface PreviewDependencies {
  readonly vault: Vault;
  readonly clock: Clock;
  readonly newId: IdSource;
  readonly userAgent: string;
  /** Whether ingest takes these bytes for a payload. */
  readonly isPayload: (bytes: Buffer) => Promise<boolean>;
  /** @returns `undefined` when the process is stopping */
  readonly transform: (transformation: Transformation) => Promise<Transformed | undefined>;
}

/** Shows deliveries without sending or storing anything, for one request. */
export class DeliveryPreviews {
  readonly #dependencies: PreviewDependencies;
  /** One after the other: a request may ask for many, and a filter takes up to 100 ms. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(dependencies: PreviewDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws DomainError BAD_USER_INPUT */
  preview(
    destination: DestinationEntity,
    account: AccountEntity,
    event: PreviewedEvent,
    reveal: boolean,
  ): Promise<DeliveryPreview> {
    const result = this.#last.then(async () => {
      await new Promise(setImmediate);
      return this.#preview(destination, account, event, reveal);
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #preview(
    destination: DestinationEntity,
    account: AccountEntity,
    { payloadText, type }: PreviewedEvent,
    reveal: boolean,
  ): Promise<DeliveryPreview> {
    const { clock, newId, userAgent } = this.#dependencies;
    const payload = await this.#parsePayload(payloadText);
    const parsed = new LazyPayload(() => payloadText);
    const eventType = type === null ? typeIn(parsed, account) : parseType(type);
    const decision = routeTo(rulesOf(destination), { type: eventType, payload: parsed });
    const eventId = newId();
    const route = { outcome: decision.outcome, path: decision.outcome === 'FILTERED' ? decision.path : null };
    const body = await this.#bodyOf(destination, payload);
    if (!Buffer.isBuffer(body)) {
      return { ...route, ...noRequest(destination.httpMethod, `TRANSFORM_FAILED: ${body.failure}`) };
    }
    const message = { deliveryId: deliveryIdOf(eventId, 1), eventId, eventType, attempt: 1, hops: 0, payload: body };
    return {
      ...route,
      ...previewRequest(this.#sourceOf(destination), message, { sentAt: clock.now(), userAgent, reveal }),
    };
  }

  async #bodyOf(
    { id: destinationId, account, transform: expression }: DestinationEntity,
    payload: Buffer,
  ): Promise<Buffer | { readonly failure: string }> {
    if (typeof expression !== 'string') {
      return payload;
    }
    const { transform } = this.#dependencies;
    const result = await transform({ accountId: account.id, destinationId, expression, payload });
    if (result === undefined) {
      return { failure: 'The server is stopping.' };
    }
    return 'body' in result ? result.body : result;
  }

  async #parsePayload(text: string): Promise<Buffer> {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length > PREVIEW_PAYLOAD_BYTES_MAX) {
      throw badPayload(`A preview takes a payload of at most ${PREVIEW_PAYLOAD_BYTES_MAX} bytes.`);
    }
    if (!text.isWellFormed() || !(await this.#dependencies.isPayload(bytes))) {
      throw badPayload('The payload must be one JSON object, as it would be sent, and not too deeply nested.');
    }
    return bytes;
  }

  #sourceOf(destination: DestinationEntity): DestinationSource {
    const { id, version, url, httpMethod, account, sealedPreviousSecret, previousSecretUntil } = destination;
    const open = (text: string) => this.#dependencies.vault.open(text, account.id);
    const signingSecrets: SigningSecret[] = [{ secret: open(destination.sealedSigningSecret), signsUntil: null }];
    if (typeof sealedPreviousSecret === 'string') {
      const signsUntil = previousSecretUntil?.getTime() ?? 0;
      signingSecrets.push({ secret: open(sealedPreviousSecret), signsUntil });
    }
    const headers = JSON.parse(open(destination.sealedHeaders)) as HeaderEntry[];
    return { destinationId: id, destinationVersion: version, url, httpMethod, headers, signingSecrets };
  }
}

function parseType(type: string): string {
  const fault = faultInEventType(type);
  if (fault !== undefined) {
    throw DomainError.badInput('type', fault);
  }
  return type;
}

function typeIn(payload: LazyPayload, { eventTypePath }: AccountEntity): string | null {
  return typeof eventTypePath === 'string'
    ? eventTypeIn(payload.value, parseDottedPath(eventTypePath, 'eventTypePath'))
    : null;
}

function rulesOf({ disabledAt, eventTypes, filter }: DestinationEntity): RoutingRules {
  return {
    enabled: disabledAt === null,
    eventTypes: typeof eventTypes === 'string' ? parseEventTypes(JSON.parse(eventTypes) as string[]) : null,
    filter: typeof filter === 'string' ? parseFilter(JSON.parse(filter)) : null,
  };
}

function badPayload(rule: string): DomainError {
  return DomainError.badInput('payloadText', rule);
}
