/** From that size on bytes are shared between threads; smaller ones are copied, which costs less than to share them. */
export const SHARED_BYTES_MIN = 16 * 1024;

/**
 * The same bytes in memory that all threads see, so that a message to a thread carries them without a copy. Copied
 * once; what is there already is answered as it is.
 */
export function sharedBytes(bytes: Buffer): Buffer<SharedArrayBuffer> {
  if (areShared(bytes)) {
    return bytes;
  }
  const shared = Buffer.from(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

export function areShared(bytes: Buffer): bytes is Buffer<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}
