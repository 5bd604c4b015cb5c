/** Keys as LMDB stores them: plain UTF-8, so that its byte order is ours and no character is special. */
export const utf8Keys = {
  writeKey(key: string | Buffer, target: Buffer, position: number): number {
    if (typeof key !== 'string') {
      target.set(key, position);
      return position + key.length;
    }
    return position + target.write(key, position);
  },
  readKey(source: Buffer, start: number, end: number): string {
    return source.toString('utf8', start, end);
  },
};

const TIME_BYTES = 6;

/** The expiry index's key: when, 6 bytes big-endian, then the entry's key. */
export function expiryKey(expires: number, key: string): Buffer {
  const bytes = Buffer.allocUnsafe(TIME_BYTES + Buffer.byteLength(key));
  bytes.writeUIntBE(expires, 0, TIME_BYTES);
  bytes.write(key, TIME_BYTES);
  return bytes;
}

export function splitExpiryKey(bytes: Buffer): { expires: number; key: string } {
  return { expires: bytes.readUIntBE(0, TIME_BYTES), key: bytes.toString('utf8', TIME_BYTES) };
}

/** The first index key that is later than everything expired at `now`. */
export function firstAfter(now: number): Buffer {
  return expiryKey(now + 1, '');
}
