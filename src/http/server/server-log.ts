import { meter, reading } from '../../meters.js';
import { formatOf, lineOf, type Event } from './log-lines.js';
import { LogOutput } from './log-output.js';

/** How lines are written. Set once, before the first line. */
let format: 'text' | 'json' = 'json';

const outputs = { out: new LogOutput(1, lossLine), errors: new LogOutput(2, lossLine) };

/** Writes the log of this process as `setting` says. */
export function setLogFormat(setting: Parameters<typeof formatOf>[0]): void {
  format = formatOf(setting);
}

/** Whether people read the log. */
export function isForPeople(): boolean {
  return format === 'text';
}

/** Writes an event: errors to stderr, everything else to stdout. */
export function writeEvent(event: Event): void {
  const output = event.level === 'error' ? outputs.errors : outputs.out;
  output.write(lineOf(format, event));
}

/** Writes an event to stdout together with others of the same turn, for what comes in great numbers. */
export function writeEventSoon(event: Event): void {
  outputs.out.writeSoon(lineOf(format, event));
}

/** Writes text for people to stdout, as it is. */
export function writeText(text: string): void {
  outputs.out.write(text);
}

meter({
  read() {
    const value = outputs.out.dropped + outputs.errors.dropped;
    const help = 'Lines of the log that nobody took, or for which the disk had no room.';
    return reading('log_lines_dropped_total', help, 'counter', [{ labels: {}, value }]);
  },
});

function lossLine(dropped: number): string {
  const message = `${dropped} lines of the log were dropped, because they could not be written`;
  return lineOf(format, { level: 'warn', message, part: 'Log', members: { dropped } });
}
