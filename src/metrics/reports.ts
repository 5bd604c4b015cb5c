import type { Reading } from '../meters.js';
import type { Lately } from './last-minute.js';

/*
 * How one process of a server learns what the others count.
 *
 * Problem: a scrape meets one worker, and the next one another, so that counters would jump back. Design: the worker that is
 * asked asks the supervisor, which asks the others and waits for a second. Guarantee: what was shown once stays counted. A
 * worker that has ended, or does not answer, counts with what it reported last; what it counted after that is lost. Gauges
 * of a worker that has ended are gone with it.
 */

/** How long the supervisor waits for workers, milliseconds. */
export const REPORT_MS = 1_000;

/** What one process counts. */
export interface Report {
  readonly readings: readonly Reading[];
  readonly requests: Lately;
  readonly commits: Lately;
}

/** What the other processes count. */
export interface OtherReports {
  readonly reports: readonly Report[];
  /** How many workers did not answer. */
  readonly silent: number;
}

/** A worker asks the supervisor for the reports of the others, and hands in its own. */
export interface ReportsQuestion {
  readonly pigeonhole: 'ask-reports';
  readonly id: number;
  readonly own: Report;
}

/** The supervisor asks a worker for its report. */
export interface ReportQuestion {
  readonly pigeonhole: 'ask-report';
}

/** A worker's answer to `ask-report`. */
export interface ReportAnswer {
  readonly pigeonhole: 'report';
  readonly report: Report;
}

/** The supervisor's answer to `ask-reports`. */
export interface ReportsAnswer extends OtherReports {
  readonly pigeonhole: 'reports';
  readonly id: number;
}

/** What a process leaves when it has ended: its counters, and nothing that was so at a moment. */
export function remainsOf({ readings }: Report): Report {
  const none = { counts: [], seconds: 1 };
  return { readings: readings.filter(({ type }) => type !== 'gauge'), requests: none, commits: none };
}

/** Returns two sets of counters as one. */
export function addRemains(a: Report, b: Report): Report {
  const sums = new Map<string, Reading>(a.readings.map((each) => [each.name, each]));
  for (const reading of b.readings) {
    const known = sums.get(reading.name);
    sums.set(reading.name, known ? sumOf(known, reading) : reading);
  }
  return { ...a, readings: [...sums.values()] };
}

function sumOf(a: Reading, b: Reading): Reading {
  const values = new Map(a.values.map((sample) => [nameOf(sample), sample]));
  for (const sample of b.values) {
    const before = values.get(nameOf(sample))?.value ?? 0;
    values.set(nameOf(sample), { ...sample, value: before + sample.value });
  }
  return { ...a, values: [...values.values()] };
}

function nameOf({ labels, metricName = '' }: Reading['values'][number]): string {
  return JSON.stringify([metricName, Object.entries(labels)]);
}
