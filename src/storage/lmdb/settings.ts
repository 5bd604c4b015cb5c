import type { IdempotencySettings } from '../idempotency.js';
import type { OpenSettings } from '../open-settings.js';

export interface LmdbSettings extends OpenSettings, IdempotencySettings {
  /** Called when the store can take no more writes, so that the process has to end. */
  readonly onFailure: (error: Error) => void;
  /** Receives each fault of the store once, such as a damaged record. */
  readonly onFault?: (text: string) => void;
  /** For how long a scan may hold its snapshot, milliseconds. */
  readonly maxSnapshotAge: number;
  /** By how many bytes the data file may grow because of one scan. By default a quarter of the free disk, at least 1 GiB. */
  readonly maxSnapshotBytes?: number | 'auto';
  /** Largest size of the change log, bytes. */
  readonly watchLogBytes: number;
  /** How often this process reads the whole file through to find damage, milliseconds; 0, the default, is never. */
  readonly scrubEvery?: number;
  /** Called with what limits the protection of the store, a sentence each. */
  readonly report?: (line: string) => void;
}
