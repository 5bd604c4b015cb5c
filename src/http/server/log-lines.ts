import { isatty } from 'node:tty';
import type { LogFormat } from '../../config/settings.js';

/** As the JSON of the log names them. */
export type LineLevel = 'debug' | 'info' | 'warn' | 'error';
export type Members = Readonly<Record<string, unknown>>;

/** One event of the log. */
export interface Event {
  readonly level: LineLevel;
  /** One sentence, or more lines, such as a stack. */
  readonly message: string;
  /** The part of the server that says it. */
  readonly part?: string | undefined;
  /** What the event concerns, for programs. */
  readonly members?: Members | undefined;
}

/** Returns how lines are written where LOG_FORMAT leaves it open: as text on a terminal, and as JSON elsewhere. */
export function formatOf(setting: LogFormat): 'text' | 'json' {
  if (setting !== 'auto') return setting;
  return isatty(1) ? 'text' : 'json';
}

/** Returns an event as it is written, with a new line at the end and no other that could pass for one. */
export function lineOf(format: 'text' | 'json', event: Event): string {
  return format === 'json' ? jsonOf(event) : textOf(event);
}

/** Control characters that JSON leaves as they are, and line ends that only some programs know. */
// oxlint-disable-next-line no-control-regex
const UNSEEN = /[\u007f-\u009f\u2028\u2029]/g;
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/g;

function jsonOf({ level, message, part, members }: Event): string {
  const end = message.indexOf('\n');
  const line = JSON.stringify({
    time: new Date().toISOString(),
    level,
    message: end < 0 ? message : message.slice(0, end),
    part,
    pid: process.pid,
    ...(end < 0 ? undefined : { stack: message }),
    ...members,
  });
  return `${line.replace(UNSEEN, escaped)}\n`;
}

/** The members are for programs; the sentence says what people need. */
function textOf({ level, message }: Event): string {
  const name = level === 'info' ? '' : `${level}: `;
  const text = message.replace(CONTROLS, escaped).replaceAll('\n', '\n    ');
  return `${new Date().toISOString()} ${name}${text}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
