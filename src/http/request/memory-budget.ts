import { shareOf, type AppConfig } from '../../config/app-config.js';
import { DatabaseError } from '../../errors.js';

const BUDGET_IN_VALUES = 16;
const LEAST_BUDGET = 64 * 2 ** 20;
/** However many processes share the budget, the largest batch and the longest line of an import have to fit. */
const LARGEST_BATCH = 16 * 2 ** 20;
const LONGEST_LINE = 32 * 2 ** 20;

/** Returns how many bytes a line of an import may have: 32 MiB, or what the largest value takes as base64. */
export function longestLine(maxValueBytes: number): number {
  return Math.max(LONGEST_LINE, Math.ceil(maxValueBytes / 3) * 4 + 16_384);
}

/** Returns how many bytes one process may hold of what clients send, and as many again of what they are sent. */
export function memoryLimit(config: Pick<AppConfig, 'maxValueBytes' | 'workers'>): number {
  const { maxValueBytes } = config;
  const share = shareOf(Math.max(LEAST_BUDGET, BUDGET_IN_VALUES * maxValueBytes), config);
  return Math.max(share, LARGEST_BATCH, longestLine(maxValueBytes));
}

/**
 * Bounds the bytes that the server holds for all clients at once: bodies, lines and puts that are gathered.
 *
 * The budget is 16 largest values, at least 64 MiB, of which each process of the server has its share. Whoever holds
 * bytes claims them first and releases them when they are gone.
 */
export class MemoryBudget {
  private readonly limit: number;
  private held = 0;

  constructor(config: Pick<AppConfig, 'maxValueBytes' | 'workers'>) {
    this.limit = memoryLimit(config);
  }

  /** Claims `bytes`. @throws DatabaseError `busy` if they do not fit */
  claim(bytes: number): void {
    if (this.tryClaim(bytes)) return;
    throw new DatabaseError(
      'busy',
      `The server has no room for this body: all at once may take ${this.limit} bytes. Try again.`,
      { limit: this.limit, setting: 'MAX_VALUE_BYTES' },
    );
  }

  /** Claims `bytes` if they fit. Returns whether they did. */
  tryClaim(bytes: number): boolean {
    if (this.held + bytes > this.limit) return false;
    this.held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.held -= bytes;
  }
}
