import { DatabaseError } from '../errors.js';

/** @throws DatabaseError `value-too-large` if a value of `bytes` is larger than MAX_VALUE_BYTES, which is `limit` */
export function checkValueSize(bytes: number, limit: number): void {
  if (bytes <= limit) return;
  throw new DatabaseError('value-too-large', `A value may have at most ${limit} bytes (MAX_VALUE_BYTES).`, {
    limit,
    setting: 'MAX_VALUE_BYTES',
  });
}
