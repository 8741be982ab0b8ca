import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';
import { Refusal } from './refusal.ts';

/**
 * @returns `undefined` when the bytes would be more than `maxBytes`
 * @throws Refusal 400 for bytes that are broken
 */
export type Decompress = (bytes: Buffer, maxBytes: number) => Promise<Buffer | undefined>;

const DECOMPRESSORS = { gzip: promisify(gunzip), 'x-gzip': promisify(gunzip), br: promisify(brotliDecompress) };

/**
 * @param header the request's content encoding
 * @returns `undefined` for bytes that are sent as they are
 * @throws Refusal 400 for an encoding that is unknown
 */
export function decompressorOf(header: string | undefined): Decompress | undefined {
  const encoding = header?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') {
    return undefined;
  }
  if (!Object.hasOwn(DECOMPRESSORS, encoding)) {
    throw Refusal.invalid('The content encoding must be gzip, br or identity.');
  }
  return async (bytes, maxBytes) => {
    try {
      return await DECOMPRESSORS[encoding as keyof typeof DECOMPRESSORS](bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        return undefined;
      }
      throw Refusal.invalid(`The body is not valid ${encoding} data.`);
    }
  };
}
