import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(import.meta.resolve('autocannon'));
const CONNECTIONS = 16;

export interface Rated {
  readonly ingest: string;
  readonly token: string;
  readonly perSecond: number;
  readonly seconds: number;
}

export interface RatedResult {
  readonly accepted: number;
  /** Those that were answered with anything but 202, or not at all. */
  readonly refused: number;
}

/** Posts events at a fixed rate, in a process of its own, and counts the answers. */
export async function postAtRate({ ingest, token, perSecond, seconds }: Rated): Promise<RatedResult> {
  const headers = ['Content-Type=application/json', `CL-X-TOKEN=${token}`].flatMap((header) => ['-H', header]);
  const options = ['-R', perSecond, '-d', seconds, '-c', CONNECTIONS, '-m', 'POST', ...headers, '-b', '{"soak":true}'];
  const child = spawn(process.execPath, [PROGRAM, '--json', ...options.map(String), ingest], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const result = JSON.parse(output) as { '2xx': number; non2xx: number; errors: number };
  return { accepted: result['2xx'], refused: result.non2xx + result.errors };
}
