import { setTimeout as pause } from 'node:timers/promises';
import { DatabaseError } from '../errors.js';

const MAX_TRIES = 10;
const MAX_PAUSE_MS = 50;

/** The edits under way: those of one key take turns, because those that ran at once would all but one be done again. */
export class Edits {
  /** For each key that is being edited, the end of its last edit. */
  private readonly ends = new Map<string, Promise<unknown>>();

  /** Runs `work` after the edits of `key` before it. */
  async inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.ends.get(key) ?? Promise.resolve();
    const edit = before.then(work);
    const end = edit.catch(() => undefined);
    this.ends.set(key, end);
    try {
      return await edit;
    } finally {
      if (this.ends.get(key) === end) this.ends.delete(key);
    }
  }
}

/**
 * Computes a value and puts it on the condition that nobody has changed the entry meanwhile, again if somebody has.
 * @throws DatabaseError `busy` if others kept changing it; what `compute` throws, and `put` but for that condition
 */
export async function computeAndPut<V, T>(
  compute: () => Promise<V>,
  put: (value: V) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const value = await compute();
    try {
      return await put(value);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== 'precondition-failed') throw error;
      if (tries === MAX_TRIES) throw overtaken();
      await pause(Math.random() * MAX_PAUSE_MS);
    }
  }
}

function overtaken(): DatabaseError {
  return new DatabaseError(
    'busy',
    'Others kept changing the value while it was being edited. Nothing was applied; repeat the request.',
  );
}
