import type { EntryHeader } from './entry.js';

/**
 * Conditions on the current state of one key. They are plain data, so that an engine can decide them inside its write
 * transaction, wherever that runs. Tags have no quotes, and times are milliseconds since 1970.
 */
export interface Condition {
  /** The entry must have one of these tags; with `*` it must exist. Weak tags never match, so callers leave them out. */
  readonly ifMatch?: '*' | readonly string[];
  /** The entry must not have been modified after this time. Ignored if there is an `ifMatch`. */
  readonly ifUnmodifiedSince?: number;
  /** The entry must have none of these tags; with `*` it must not exist. */
  readonly ifNoneMatch?: '*' | readonly string[];
  /** The entry must have been modified after this time. Ignored if there is an `ifNoneMatch`. */
  readonly ifModifiedSince?: number;
}

/** The result of a condition. A reader whose condition is `known` has the entry already; for a write it is `failed`. */
export type Verdict = 'holds' | 'failed' | 'known';

/** Decides a condition in the order of RFC 9110, section 13.2.2. Times are compared in whole seconds, as HTTP dates. */
export function evaluate(condition: Condition, current: EntryHeader | undefined): Verdict {
  const { ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince } = condition;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, current)) return 'failed';
  } else if (ifUnmodifiedSince !== undefined) {
    if (current && wholeSeconds(current.modified) > ifUnmodifiedSince) return 'failed';
  }
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, current)) return 'known';
  } else if (ifModifiedSince !== undefined) {
    if (current && wholeSeconds(current.modified) <= ifModifiedSince) return 'known';
  }
  return 'holds';
}

function matches(tags: '*' | readonly string[], current: EntryHeader | undefined): boolean {
  return current !== undefined && (tags === '*' || tags.includes(current.etag));
}

function wholeSeconds(time: number): number {
  return time - (time % 1000);
}
