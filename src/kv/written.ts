import type { Entry } from '../storage/entry.js';
import type { Outcome } from '../storage/operation.js';

/** An entry after a write, and whether the write created it. */
export interface Written {
  readonly created: boolean;
  readonly entry: Entry;
}

/** Returns what the write of an entry, of the kind `what`, came to. */
export function writtenBy(what: string, outcome: Outcome): Written {
  if (!('entry' in outcome)) throw new Error(`a ${what} came to ${outcome.kind}`);
  return { created: outcome.kind === 'created', entry: outcome.entry };
}
