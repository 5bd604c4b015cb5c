import { Counter, Gauge, Histogram, meter } from '../meters.js';

/* What engines count while they work, every one alike. What they know of the store they tell in `StorageEngine.stats`. */

export const changes = meter(
  new Counter('changes_total', 'Changes of entries, by their kind.', {
    name: 'kind',
    values: ['put', 'delete', 'expire'],
  }),
);

export const conditionsFailed = meter(
  new Counter('conditions_failed_total', 'Writes whose conditions did not hold.'),
);

/** From its beginning until it is durable: an LMDB transaction, or a write in Redis. */
export const commitSeconds = meter(
  new Histogram(
    'commit_duration_seconds',
    'How long commits took to be durable, of one write or of many that share one.',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  ),
);

export const commitOperations = meter(
  new Histogram(
    'commit_operations',
    'How many requests shared a commit.',
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
  ),
);

export const writeQueueBytes = meter(
  new Gauge('write_queue_bytes', 'Size of the writes that wait for their commit.', 'sum', 0),
);

/** Each process counts a damaged record once. */
export const corruptRecords = meter(
  new Counter('corrupt_records_total', 'Damaged records and pages that were met, each once.'),
);

export const scans = meter(new Gauge('scans_active', 'Exports and other scans under way.', 'sum', 0));

/** Of this process: what one snapshot pins, those of other processes may pin too. */
export const pinnedBytes = meter(
  new Gauge('pinned_bytes', 'What exports and other long reads keep from being free.', 'max'),
);
