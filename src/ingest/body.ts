import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { Refusal } from './refusal.ts';

const DECOMPRESSORS = { gzip: promisify(gunzip), 'x-gzip': promisify(gunzip), br: promisify(brotliDecompress) };

/**
 * The body's bytes, decompressed. Never holds more than `maxBytes` of either form.
 *
 * @throws Refusal 413 as soon as the limit is passed; 400 for an encoding that is unknown or broken.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const received = receive(request, maxBytes);
  return encoding === 'identity' || encoding === '' ? received : decoded(received, encoding, maxBytes);
}

async function decoded(received: Promise<Buffer>, encoding: string, maxBytes: number): Promise<Buffer> {
  const bytes = await received;
  if (!Object.hasOwn(DECOMPRESSORS, encoding)) {
    throw Refusal.invalid('The content encoding must be gzip, br or identity.');
  }
  return decompress(bytes, encoding as keyof typeof DECOMPRESSORS, maxBytes);
}

function receive(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
      reject(Refusal.tooLarge(maxBytes));
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > maxBytes) {
        request.off('data', onData);
        chunks.length = 0;
        reject(Refusal.tooLarge(maxBytes));
      }
    };
    request.on('data', onData);
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    // The connection is gone: nobody reads the answer.
    request.once('aborted', () => reject(Refusal.invalid('The body ended early.')));
  });
}

async function decompress(bytes: Buffer, encoding: keyof typeof DECOMPRESSORS, maxBytes: number): Promise<Buffer> {
  try {
    return await DECOMPRESSORS[encoding](bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      ? Refusal.tooLarge(maxBytes)
      : Refusal.invalid(`The body is not valid ${encoding} data.`);
  }
}
