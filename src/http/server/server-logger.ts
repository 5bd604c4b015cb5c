import type { LoggerService } from '@nestjs/common';
import type { LogFormat, LogLevel } from '../../config/settings.js';
import type { LineLevel, Members } from './log-lines.js';
import { setLogFormat, writeEvent } from './server-log.js';

const RANK: Readonly<Record<LineLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/** Parts of Nest that tell about the start. An error that stops it is also thrown, and reported in our own words. */
const FRAMEWORK = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
  'ExceptionHandler',
]);

/**
 * What Nest's `Logger` writes to: one line an event. `logger.warn('Worker 7 has ended', { worker: 7 })` has a sentence for
 * people and members for programs.
 */
export class ServerLogger implements LoggerService {
  constructor({ logLevel, logFormat }: { readonly logLevel: LogLevel; readonly logFormat: LogFormat }) {
    this.most = RANK[logLevel];
    setLogFormat(logFormat);
  }

  private readonly most: number;

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  /** @param rest members, a stack, and at the end the name of the part, each of which may be missing */
  private write(level: LineLevel, message: unknown, rest: readonly unknown[]): void {
    const texts = rest.filter((each) => typeof each === 'string');
    const part = texts.at(-1);
    if (RANK[level] > this.most || FRAMEWORK.has(part!)) return;
    const members = rest.find((each) => typeof each === 'object') as Members | undefined;
    const stack = texts.length > 1 ? `\n${texts[0]}` : '';
    writeEvent({ level, message: `${textOf(message)}${stack}`, part, members });
  }
}

function textOf(message: unknown): string {
  if (message instanceof Error) return message.stack ?? message.message;
  return typeof message === 'string' ? message : JSON.stringify(message);
}
