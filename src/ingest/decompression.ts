import { promisify } from 'node:util';
import { brotliDecompress, gunzip, type ZlibOptions } from 'node:zlib';
import { HttpError } from '../access/http-error.ts';

/**
 * @returns `undefined` when the result would be longer than `maxBytes`
 * @throws HttpError 400 for invalid data
 */
export type Decompress = (bytes: Buffer, maxBytes: number) => Promise<Buffer | undefined>;

const DECOMPRESSORS: ReadonlyMap<string, (bytes: Buffer, options: ZlibOptions) => Promise<Buffer>> = new Map([
  ['gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['x-gzip', promisify<Buffer, ZlibOptions, Buffer>(gunzip)],
  ['br', promisify<Buffer, ZlibOptions, Buffer>(brotliDecompress)],
]);

/**
 * @param header the request's Content-Encoding
 * @returns `undefined` for a body that is not compressed
 * @throws HttpError 400 for an unknown encoding
 */
export function decompressorOf(header: string | undefined): Decompress | undefined {
  const encoding = header?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') {
    return undefined;
  }
  const decompress = DECOMPRESSORS.get(encoding);
  if (decompress === undefined) {
    throw HttpError.invalid('The content encoding must be gzip, br or identity.');
  }
  return async (bytes, maxBytes) => {
    try {
      return await decompress(bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      if (isTooLarge(error)) {
        return undefined;
      }
      throw HttpError.invalid(`The body is not valid ${encoding} data.`);
    }
  };
}

function isTooLarge(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
