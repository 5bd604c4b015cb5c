import { DatabaseError } from '../errors.js';
import { decodeEscapes, decodeForm, ESCAPES } from '../http/request/percent-encoding.js';
import { MAX_KEY_BYTES } from '../storage/entry.js';

/** UTF-8 never takes more bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

/** @throws DatabaseError `invalid-key` unless `key` is 1 to 1024 bytes of well-formed Unicode */
export function checkKey(key: string): void {
  const bytes = key.length * MAX_BYTES_PER_UNIT <= MAX_KEY_BYTES ? key.length : Buffer.byteLength(key);
  if (bytes < 1 || bytes > MAX_KEY_BYTES) {
    const detail = `A key must have 1 to ${MAX_KEY_BYTES} bytes of UTF-8; this one has ${bytes}.`;
    throw new DatabaseError('invalid-key', detail, { limit: MAX_KEY_BYTES });
  }
  if (!key.isWellFormed())
    throw new DatabaseError('invalid-key', 'The key has half a surrogate pair, which is no text.');
}

/** Returns whether `key` may name an entry. */
export function isKey(key: string): boolean {
  try {
    checkKey(key);
    return true;
  } catch {
    return false;
  }
}

/*
 * An entry has two spellings: `/kv/{key}`, and `/kv?key={key}` for every key, also for those that a path cannot carry
 * (URL parsers remove the segments `.` and `..`). The second is translated into the first when a request comes in, so
 * everything after that knows one spelling.
 */
const ENTRY_PATH = '/kv/';
const RANGE_QUERY = '/kv?';

/** Returns a path that reads as exactly this key wherever it is followed. */
export function pathOf(key: string): string {
  const encoded = encodeURIComponent(key);
  return key === '.' || key === '..' ? `/kv?key=${encoded}` : ENTRY_PATH + encoded;
}

/** Whether a URL is that of an entry, in the one spelling. */
export function isEntryPath(url: string): boolean {
  return url.startsWith(ENTRY_PATH);
}

/** Returns the key of `/kv/{key}`: everything after `/kv/`, percent-decoded once from the raw URL. `+` stays a plus. */
export function keyOfPath(url: string): string {
  const query = url.indexOf('?');
  const text = url.slice(ENTRY_PATH.length, query < 0 ? undefined : query);
  const key = decodeEscapes(text);
  if (key === undefined) throw new DatabaseError('invalid-key', `The key has a malformed escape. ${ESCAPES}`);
  return key;
}

/**
 * Translates `/kv?key=a&ttl=5` into `/kv/a?ttl=5`, and returns every other URL as it is.
 * @param mayNameSeveral whether the request may name several keys and prefixes, as a watch may
 * @throws DatabaseError `invalid-parameter` if the key is malformed, empty, given twice or beside `prefix`
 */
export function withKeyInPath(url: string, mayNameSeveral: () => boolean): string {
  if (!url.startsWith(RANGE_QUERY)) return url;
  const pairs = url.slice(RANGE_QUERY.length).split('&');
  const keys = pairs.filter((pair) => nameOf(pair) === 'key');
  if (keys.length === 0) return url;
  const others = pairs.filter((pair) => !keys.includes(pair));
  const hasPrefix = others.some((pair) => nameOf(pair) === 'prefix');
  if ((keys.length > 1 || hasPrefix) && mayNameSeveral()) return url;
  if (keys.length > 1) throw invalid('`key` is given twice.');
  if (hasPrefix) throw invalid('`key` names one entry and `prefix` a range.');
  const [pair] = keys;
  const key = decodeForm(pair!.slice(pair!.indexOf('=') + 1));
  if (key === undefined) throw invalid(`The query has a malformed escape. ${ESCAPES}`);
  if (key === '' || !pair!.includes('=')) throw invalid('`key` is empty.');
  // An empty pair beside the key is refused as any other parameter that there is not.
  const query = others.length > 0 ? `?${others.join('&') || '&'}` : '';
  return ENTRY_PATH + encodeURIComponent(key) + query;
}

/** The decoded name of a `name=value` pair; undefined if its escapes are malformed. */
function nameOf(pair: string): string | undefined {
  return decodeForm(pair.split('=', 1)[0]!);
}

function invalid(detail: string): DatabaseError {
  return new DatabaseError('invalid-parameter', `${detail} It takes one \`key\`.`);
}
