/** Encodes keys for LMDB as plain UTF-8, so that LMDB's byte order is the order of keys and no character is special. */
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

/** Returns the key in the expiry index: the time, 6 bytes big-endian, then the entry's key. */
export function expiryKey(expires: number, key: string): Buffer {
  const bytes = Buffer.allocUnsafe(TIME_BYTES + Buffer.byteLength(key));
  bytes.writeUIntBE(expires, 0, TIME_BYTES);
  bytes.write(key, TIME_BYTES);
  return bytes;
}

export function splitExpiryKey(bytes: Buffer): { expires: number; key: string } {
  // Only damage makes it shorter: no entry is like that.
  if (bytes.length < TIME_BYTES) return { expires: 0, key: '' };
  return { expires: bytes.readUIntBE(0, TIME_BYTES), key: bytes.toString('utf8', TIME_BYTES) };
}

/** Returns the first key of the expiry index after all entries that have expired at `now`. */
export function endOfExpired(now: number): Buffer {
  return expiryKey(now + 1, '');
}

/** What the names of private records begin with that belong to keyed writes (keyed-writes.ts); no other name does. */
export const KEYED = '~';
