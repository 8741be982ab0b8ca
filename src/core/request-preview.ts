import { curlCommand } from './curl-command.ts';
import type { HttpMethod } from './inputs.ts';
import {
  buildRequest,
  type DestinationSource,
  type MessageSource,
  type OutgoingRequest,
  targetOf,
  UrlTooLongError,
} from './outgoing-request.ts';

/** A request as people read it. What there is of it is null where the request cannot be built. */
export interface RequestPreview {
  readonly method: HttpMethod;
  /** With the query. */
  readonly url: string | null;
  readonly headers: Readonly<Record<string, string | readonly string[]>> | null;
  readonly body: string | null;
  readonly curl: string | null;
  /** Why the request cannot be built. */
  readonly error: string | null;
}

interface PreviewOptions {
  /** In milliseconds since the Unix epoch. */
  readonly sentAt: number;
  readonly userAgent: string;
  /** Shows the values of headers that are secret by their names. */
  readonly reveal: boolean;
}

const MASK = '***';
const SECRET_NAME = /^cookie$|key|token|secret|auth|password/i;

/** The signature is computed for the request as it would be sent, whatever is masked. */
export function previewRequest(
  source: DestinationSource,
  message: MessageSource,
  { sentAt, userAgent, reveal }: PreviewOptions,
): RequestPreview {
  try {
    const request = buildRequest(targetOf(source, userAgent), message, sentAt);
    return shown(request, reveal);
  } catch (error) {
    return noRequest(source.httpMethod, reasonOf(error));
  }
}

export function noRequest(method: HttpMethod, error: string): RequestPreview {
  return { method, url: null, headers: null, body: null, curl: null, error };
}

function shown({ url, method, headerLines, body }: OutgoingRequest, reveal: boolean): RequestPreview {
  const headers = linesOf(headerLines).map(([name, value]): [string, string] => [
    name,
    reveal || !SECRET_NAME.test(name) ? value : MASK,
  ]);
  const request = { method, url: url.href, body: body?.toString('utf8') ?? null };
  return { ...request, headers: byName(headers), curl: curlCommand({ ...request, headers }), error: null };
}

/** Header values are bytes, one character each. Beyond ASCII they are UTF-8. */
function linesOf(headerLines: readonly string[]): [name: string, value: string][] {
  const names = headerLines.filter((_, index) => index % 2 === 0);
  return names.map((name, index) => [name, Buffer.from(headerLines[index * 2 + 1] ?? '', 'latin1').toString('utf8')]);
}

function byName(headers: readonly (readonly [name: string, value: string])[]): RequestPreview['headers'] {
  const grouped = Map.groupBy(headers, ([name]) => name);
  return Object.fromEntries(
    Array.from(grouped, ([name, lines]) => {
      const values = lines.map(([, value]) => value);
      return [name, values.length === 1 ? (values[0] ?? '') : values];
    }),
  );
}

/** Begins with the code that an attempt would have. */
function reasonOf(error: unknown): string {
  if (error instanceof UrlTooLongError) {
    return `URL_TOO_LONG: ${error.message}`;
  }
  if (error instanceof TypeError) {
    return `INVALID_REQUEST: ${error.message}`;
  }
  throw error;
}
