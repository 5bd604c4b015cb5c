import type { StoredEntry } from './record.js';

/** A change of one key that is planned and not written yet. */
export interface PlannedChange {
  readonly before: StoredEntry | undefined;
  readonly after: StoredEntry | undefined;
  readonly sequence: number;
  readonly by?: string | undefined;
  /** Whether the entry has expired rather than been deleted. */
  readonly expired?: boolean;
}
