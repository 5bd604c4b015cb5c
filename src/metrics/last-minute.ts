/** Counts by size, as a histogram has them. */
export interface Counts {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
}

/** What a histogram counted lately, as one process can tell another. */
export interface Lately {
  readonly counts: readonly number[];
  /** In how long. */
  readonly seconds: number;
}

/** How often something happened a second, and how long it took; null if it did not happen. */
export interface Pace {
  readonly perSecond: number;
  readonly p50: number | null;
  readonly p99: number | null;
}

const EVERY_MS = 5_000;
const MOST_KEPT = 60_000 / EVERY_MS;

/** Remembers what a histogram showed during the last minute. Nothing is added to what counting costs. */
export class LastMinute {
  private readonly kept: { readonly at: number; readonly counts: Float64Array }[] = [];
  private readonly timer = setInterval(() => this.keep(), EVERY_MS).unref();

  constructor(private readonly histogram: Counts) {
    this.keep();
  }

  lately(): Lately {
    const { at, counts } = this.kept[0]!;
    const now = this.histogram.counts;
    return {
      counts: Array.from(now, (count, bucket) => count - counts[bucket]!),
      seconds: (performance.now() - at) / 1000,
    };
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private keep(): void {
    this.kept.push({ at: performance.now(), counts: this.histogram.counts.slice() });
    if (this.kept.length > MOST_KEPT) this.kept.shift();
  }
}

/** Returns the pace of all processes together. */
export function paceOf(bounds: readonly number[], processes: readonly Lately[]): Pace {
  const counts = [...bounds, Infinity].map((_, bucket) =>
    processes.reduce((sum, each) => sum + (each.counts[bucket] ?? 0), 0),
  );
  const perSecond = processes.reduce((sum, { counts: its, seconds }) => sum + total(its) / seconds, 0);
  return { perSecond, p50: quantile(bounds, counts, 0.5), p99: quantile(bounds, counts, 0.99) };
}

/** Returns the size that a share of all does not exceed, by a straight line through its bucket, as Prometheus does. */
function quantile(bounds: readonly number[], counts: readonly number[], share: number): number | null {
  const wanted = share * total(counts);
  let before = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && before + count >= wanted) {
      const low = bounds[bucket - 1] ?? 0;
      const high = bounds[bucket] ?? low;
      return low + (high - low) * ((wanted - before) / count);
    }
    before += count;
  }
  return null;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
