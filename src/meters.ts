/*
 * What the parts of a process count, as plain numbers.
 *
 * Problem: counting must cost a request next to nothing, every room has something to count, and the library that writes it
 * out must not be loaded before somebody asks. Design: a meter is an object that its room adds to or sets; making one puts
 * it on a list. The room `metrics` reads the list when it is asked. A room that counts something makes a meter here and needs
 * nothing else. Guarantee: the number of meters is that of the source, whatever clients send. Not here: what the engine
 * knows by itself (`StorageEngine.stats`).
 */

/** How the figures of several processes become one. */
export type Merge = 'sum' | 'max' | 'min' | 'average' | 'first';

/** One figure of a meter. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** The name of the figure where that is not the meter's: `…_bucket`, `…_sum` and `…_count` of a histogram. */
  readonly metricName?: string;
}

/** A meter and its figures, as one process can tell another. */
export interface Reading {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: readonly Sample[];
  readonly aggregator: Merge;
}

/** What is on the list. */
export interface Meter {
  read(): Reading;
}

const PREFIX = 'pigeonhole_';
const meters: Meter[] = [];

/** Puts a meter on the list, and returns it. */
export function meter<T extends Meter>(made: T): T {
  meters.push(made);
  return made;
}

/** Returns what all meters of this process show. */
export function readMeters(): Reading[] {
  return meters.map((each) => each.read());
}

/** Returns the reading of figures that are known already. @param name without `pigeonhole_` */
export function reading(
  name: string,
  help: string,
  type: Reading['type'],
  values: readonly Sample[],
  aggregator: Merge = 'sum',
): Reading {
  return { name: PREFIX + name, help, type, values, aggregator };
}

/** Counts up from the start of the process. One figure for each value of its label, or one. */
export class Counter<Label extends string = never> implements Meter {
  /** Without a label: how much has been counted. */
  value = 0;
  /** With one: how much, by the value of the label. */
  readonly by: Record<Label, number>;

  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly label?: { readonly name: string; readonly values: readonly Label[] },
  ) {
    const zeros = (label?.values ?? []).map((value) => [value, 0]);
    this.by = Object.fromEntries(zeros) as Record<Label, number>;
  }

  read(): Reading {
    const { name, help, label } = this;
    const values = label
      ? label.values.map((value) => ({ labels: { [label.name]: value }, value: this.by[value] }))
      : [{ labels: {}, value: this.value }];
    return reading(name, help, 'counter', values);
  }
}

/** A figure of this moment: a number, or a function that returns it. Without one the meter has no figure. */
export class Gauge implements Meter {
  value: number | (() => number | undefined) | undefined;

  /** @param merge how the figures of several processes become one */
  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly merge: Merge = 'sum',
    value?: number,
  ) {
    this.value = value;
  }

  /** Adds to a gauge that is a number. */
  add(change: number): void {
    this.value = ((this.value as number | undefined) ?? 0) + change;
  }

  read(): Reading {
    const { name, help, merge, value } = this;
    const figure = typeof value === 'function' ? value() : value;
    return reading(name, help, 'gauge', figure === undefined ? [] : [{ labels: {}, value: figure }], merge);
  }
}

/** Counts by size. */
export class Histogram implements Meter {
  /** How often, by bucket; the last is for what exceeds all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  /** @param bounds the largest size of each bucket, ascending */
  constructor(
    private readonly name: string,
    private readonly help: string,
    readonly bounds: readonly number[],
  ) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(size: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && size > this.bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += size;
  }

  read(): Reading {
    const { name, help, bounds, counts, sum } = this;
    return reading(name, help, 'histogram', histogramSamples(PREFIX + name, {}, bounds, counts, sum));
  }
}

/** Returns the figures of a histogram, of `counts` by bucket. @param name with `pigeonhole_` */
export function histogramSamples(
  name: string,
  labels: Sample['labels'],
  bounds: readonly number[],
  counts: ArrayLike<number>,
  sum: number,
): Sample[] {
  let count = 0;
  const buckets = [...bounds, '+Inf'].map((le, i) => {
    count += counts[i]!;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
