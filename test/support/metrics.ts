import { expect } from '@jest/globals';
import { ask, type Question } from './http.js';

/** One figure of a scrape. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a scrape has shown. */
export class Scrape {
  readonly samples: readonly Sample[];
  /** The names of all metrics, also of those that have no figure at present. */
  readonly names: ReadonlySet<string>;

  constructor(readonly text: string) {
    const lines = text.split('\n').filter((line) => line !== '');
    this.names = new Set(lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []));
    this.samples = lines.filter((line) => !line.startsWith('#')).map(sampleIn);
  }

  /** Returns the sum of the figures with some labels; undefined if there are none. */
  sum(name: string, labels: Sample['labels'] = {}): number | undefined {
    const found = this.samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  }
}

/** @throws Error if the line is not as Prometheus reads it */
function sampleIn(line: string): Sample {
  const [, name, labels = '', value] = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)].map(([, label, text]) => [
    label!,
    text!,
  ]);
  return { name, labels: Object.fromEntries(pairs) as Sample['labels'], value: Number(value) };
}

export async function scrape(port: number, question: Question = {}): Promise<Scrape> {
  const { status, text } = await ask(port, '/metrics', question);
  expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' });
  return new Scrape(text);
}
