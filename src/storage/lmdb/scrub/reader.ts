import { constants, setPriority } from 'node:os';
import { readSlice, type Place, type Slice } from './slice.js';

/*
 * The process that reads the file for the background check (scrub.ts). It does so without LMDB, a slice for each message, and ends
 * with the connection to whoever sends them.
 */

/** What it is asked for. */
export interface SliceRequest {
  readonly path: string;
  readonly place: Place;
}

/** What it answers. */
export interface SliceReply extends Slice {
  /** Processor time of this process since its start, milliseconds. */
  readonly spent: number;
}

const SLICE_MS = 10;

// They are for the server, which knows when it needs this process no more.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
setPriority(constants.priority.PRIORITY_LOW);
process.on('message', ({ path, place }: SliceRequest) => {
  const end = performance.now() + SLICE_MS;
  const slice = readSlice(path, place, () => performance.now() >= end);
  const { user, system } = process.cpuUsage();
  process.send!({ ...slice, spent: (user + system) / 1000 } satisfies SliceReply);
});
