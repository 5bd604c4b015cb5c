import { DatabaseError } from '../errors.js';

/** @throws DatabaseError `value-too-large` if a value of `bytes` is larger than MAX_VALUE_BYTES, which is `limit` */
export function checkValueSize(bytes: number, limit: number): void {
  if (bytes <= limit) return;
  const detail = `A value may have at most ${limit} bytes (MAX_VALUE_BYTES).`;
  throw new DatabaseError('value-too-large', detail, { limit, setting: 'MAX_VALUE_BYTES' });
}
