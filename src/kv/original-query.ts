import { DatabaseError } from '../errors.js';
import { decodeForm } from '../http/request/percent-encoding.js';

/*
 * Reads keys and values of the original routes from the raw URL. A query parser would make arrays and objects of names,
 * drop some, and merge repeated ones.
 */

const GET_MISSING = 'Please provide a query listing the key (eg. `/get?key=somekey`).';
const GET_FORMAT = 'Query must be in the format `/get?key=somekey`.';
const SET_MISSING = 'Please provide a query listing the key (eg. `/set?somekey=somevalue`).';
const SET_FORMAT = 'Query must be in the format `/set?somekey=somevalue`.';
const AMPERSAND_HINT = ' An `&` in the key or the value is written `%26`.';

/** Returns the key of `/get?key=somekey`. @throws DatabaseError `missing-query`, `invalid-query` */
export function parseGetQuery(url: string): string {
  const query = queryOf(url);
  if (query === '') throw new DatabaseError('missing-query', GET_MISSING);
  const equals = query.indexOf('=');
  const isKey = equals > 0 && decodeForm(query.slice(0, equals)) === 'key';
  if (!isKey || query.length === equals + 1 || query.includes('&'))
    throw new DatabaseError('invalid-query', GET_FORMAT);
  return decode(query.slice(equals + 1), GET_FORMAT);
}

/** Returns the pair of `/set?somekey=somevalue`, split at the first `=`. @throws DatabaseError `missing-query`, `invalid-query` */
export function parseSetQuery(url: string): { key: string; value: string } {
  const query = queryOf(url);
  if (query === '') throw new DatabaseError('missing-query', SET_MISSING);
  const equals = query.indexOf('=');
  if (query.includes('&')) throw new DatabaseError('invalid-query', SET_FORMAT + AMPERSAND_HINT);
  if (equals < 1) throw new DatabaseError('invalid-query', SET_FORMAT);
  return {
    key: decode(query.slice(0, equals), SET_FORMAT),
    value: decode(query.slice(equals + 1), SET_FORMAT),
  };
}

function queryOf(url: string): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

/** @throws DatabaseError `invalid-query` */
function decode(text: string, format: string): string {
  const decoded = decodeForm(text);
  if (decoded !== undefined) return decoded;
  throw new DatabaseError('invalid-query', `${format} Escapes are \`%\` and two hex digits, of UTF-8 text.`);
}
