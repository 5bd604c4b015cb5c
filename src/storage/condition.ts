import type { EntryHeader } from './entry.js';

/**
 * A caller's conditions on the present state of one key, as plain data, so that an engine can decide them inside its
 * write transaction wherever that runs. Tags are without quotes.
 */
export interface Condition {
  /** The entry must have one of these tags; `*`: it must exist. Weak tags never match, so they are left out here. */
  readonly ifMatch?: '*' | readonly string[];
  /** The entry must not have been modified after this, milliseconds. Only looked at without `ifMatch`. */
  readonly ifUnmodifiedSince?: number;
  /** The entry must have none of these tags; `*`: it must not exist. */
  readonly ifNoneMatch?: '*' | readonly string[];
  /** For reads: not modified after this, milliseconds, is as good as known. Only looked at without `ifNoneMatch`. */
  readonly ifModifiedSince?: number;
}

/** `failed` is 412; `known` is a reader's 304. A write treats both as failed. */
export type Verdict = 'holds' | 'failed' | 'known';

/** Decides a condition in the order of RFC 9110, section 13.2.2. HTTP dates have whole seconds. */
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
