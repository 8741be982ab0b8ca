export interface ShownRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
}

/** curl makes these from the URL and the body. */
const MADE_BY_CURL: ReadonlySet<string> = new Set(['host', 'content-length']);
const BLANK = /^[ \t]*$/;

/** A command for a POSIX shell that sends this request. */
export function curlCommand({ method, url, headers, body }: ShownRequest): string {
  const given = headers.filter(([name]) => !MADE_BY_CURL.has(name.toLowerCase()));
  const lines = given.map(([name, value]) => headerArgument(name, value));
  // Without this, curl adds "Accept: */*".
  if (!given.some(([name]) => name.toLowerCase() === 'accept')) {
    lines.push('Accept:');
  }
  return [
    // The URL may contain braces and brackets, which curl would expand.
    `curl --globoff --request ${method} ${quoted(url)}`,
    ...lines.map((line) => `--header ${quoted(line)}`),
    ...(body === null ? [] : [`--data-raw ${quoted(body)}`]),
  ].join(' \\\n  ');
}

/** Of a name with a colon and no value, curl would remove the header. With a semicolon it sends an empty one. */
function headerArgument(name: string, value: string): string {
  return BLANK.test(value) ? `${name};` : `${name}: ${value}`;
}

/** Nothing is special between single quotes, so only they need care. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
