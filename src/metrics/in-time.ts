import { setTimeout as pause } from 'node:timers/promises';
import type { Awaitable } from '../storage/storage-engine.js';

/** For how long the storage may keep who asks waiting, milliseconds. */
const STORAGE_MS = 2_000;

/** Returns what the storage is asked for; `otherwise` if it fails or cannot tell it in time. */
export async function inTime<T>(ask: () => Awaitable<T>, otherwise: T): Promise<T> {
  const over = new AbortController();
  const late = pause(STORAGE_MS, otherwise, { signal: over.signal, ref: false }).catch(() => otherwise);
  try {
    return await Promise.race([ask(), late]);
  } catch {
    return otherwise;
  } finally {
    over.abort();
  }
}
