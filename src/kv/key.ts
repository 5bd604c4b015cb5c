import { DatabaseError } from '../errors.js';
import { decodeEscapes, ESCAPES } from '../http/request/percent-encoding.js';
import { MAX_KEY_BYTES } from '../storage/entry.js';

/** UTF-8 never takes more bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

/** @throws DatabaseError `invalid-key` unless `key` is 1 to 1024 bytes of well-formed Unicode */
export function checkKey(key: string): void {
  const bytes = key.length * MAX_BYTES_PER_UNIT <= MAX_KEY_BYTES ? key.length : Buffer.byteLength(key);
  if (bytes < 1 || bytes > MAX_KEY_BYTES) {
    throw new DatabaseError(
      'invalid-key',
      `A key must have 1 to ${MAX_KEY_BYTES} bytes of UTF-8; this one has ${bytes}.`,
      {
        limit: MAX_KEY_BYTES,
      },
    );
  }
  if (!key.isWellFormed())
    throw new DatabaseError('invalid-key', 'The key has half a surrogate pair, which is no text.');
}

/** The path that reads as exactly this key wherever it is followed: `.` and `..` only survive in a query. */
export function pathOf(key: string): string {
  const encoded = encodeURIComponent(key);
  return key === '.' || key === '..' ? `/kv?key=${encoded}` : `/kv/${encoded}`;
}

/** The key of `/kv/{key}`: everything behind `/kv/`, percent-decoded once from the raw URL. `+` stays a plus. */
export function keyOfPath(url: string): string {
  const query = url.indexOf('?');
  const text = query < 0 ? url.slice(4) : url.slice(4, query);
  const key = decodeEscapes(text);
  if (key === undefined) throw new DatabaseError('invalid-key', `The key has a malformed escape. ${ESCAPES}`);
  return key;
}
