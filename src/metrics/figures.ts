import type { Reading, Sample } from '../meters.js';

/** Finds figures among readings, by the names that Prometheus sees. */
export class Figures {
  private readonly byName: ReadonlyMap<string, Reading>;

  constructor(readings: readonly Reading[]) {
    this.byName = new Map(readings.map((each) => [each.name, each]));
  }

  /** Returns the figure of a meter without labels; null if it has none. */
  of(name: string): number | null {
    return this.byName.get(name)?.values[0]?.value ?? null;
  }

  /** Returns the sum of all figures of a meter, or of those with some labels. */
  sum(name: string, labels: Sample['labels'] = {}): number {
    const values = this.byName.get(name)?.values ?? [];
    const wanted = Object.entries(labels);
    const matching = values.filter((sample) =>
      wanted.every(([label, value]) => sample.labels[label] === value),
    );
    return matching.reduce((sum, { value }) => sum + value, 0);
  }

  /** Returns a figure in seconds since 1970 as a time; null if it has none. */
  time(name: string): string | null {
    const seconds = this.of(name);
    return seconds === null ? null : new Date(seconds * 1000).toISOString();
  }
}
