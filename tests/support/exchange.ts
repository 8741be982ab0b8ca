import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';

export interface RawRequest {
  readonly method?: string;
  /** Names and values in turn, sent as they stand: letter case and repeats are kept. */
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** The body as JSON; undefined when it is empty. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the shape is what each test asserts
  readonly json: any;
}

/** One request as it is written here; `fetch` would join, lower-case, add and forbid headers. */
export async function exchange(url: string, { method = 'POST', headers = [], body }: RawRequest): Promise<RawAnswer> {
  const length = body === undefined ? [] : ['Content-Length', Buffer.byteLength(body).toString()];
  const outgoing = open(url, method, [...headers, ...length]);
  outgoing.end(body);
  return answerOf(outgoing);
}

export interface EndlessAnswer extends RawAnswer {
  /** What the sender had written when the answer came. */
  readonly sentBytes: number;
}

const CHUNK = Buffer.alloc(64 * 1024, ' ');

/** Sends spaces for as long as there is no answer, at most `maxBytes`. */
export async function sendUntilAnswered(
  url: string,
  { method = 'POST', headers = [] }: RawRequest,
  maxBytes: number,
): Promise<EndlessAnswer> {
  const outgoing = open(url, method, headers);
  const answer = answerOf(outgoing);
  const answered = new AbortController();
  outgoing.once('response', () => answered.abort());
  let sentBytes = 0;
  while (!answered.signal.aborted && sentBytes < maxBytes) {
    sentBytes += CHUNK.length;
    // The turn of the event loop is what lets the answer in between two chunks.
    await (outgoing.write(CHUNK) ? new Promise(setImmediate) : Promise.race([once(outgoing, 'drain'), answer]));
  }
  outgoing.destroy();
  return { ...(await answer), sentBytes };
}

function open(url: string, method: string, headers: readonly string[]): ClientRequest {
  return request(url, { method, agent: false, headers: ['Host', new URL(url).host, ...headers] });
}

function answerOf(outgoing: ClientRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      const done = (): void => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: text.startsWith('{') ? JSON.parse(text) : undefined,
        });
      };
      // A sender that is refused halfway has the whole answer by its length, before the connection ends.
      const length = Number(response.headers['content-length'] ?? Number.NaN);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (Buffer.concat(chunks).length === length) {
          done();
        }
      });
      response.once('end', done);
      response.once('error', reject);
    });
  });
}
