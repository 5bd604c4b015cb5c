import { ConsoleLogger } from '@nestjs/common';
import type { LogLevel } from '../../config/settings.js';

const LEVELS = { error: ['fatal', 'error'], warn: ['fatal', 'error', 'warn'] } as const;

/** Contexts of Nest's own messages at the start, which interest only developers. */
const FRAMEWORK = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
  'ExceptionHandler',
]);

/** Logs one line an event: for people on a terminal, as JSON elsewhere. */
export class ServerLogger extends ConsoleLogger {
  constructor(private readonly verbosity: LogLevel) {
    const levels =
      verbosity === 'debug'
        ? (['fatal', 'error', 'warn', 'log', 'debug'] as const)
        : verbosity === 'info'
          ? (['fatal', 'error', 'warn', 'log'] as const)
          : LEVELS[verbosity];
    super({ prefix: 'Pigeonhole', logLevels: [...levels], json: !process.stdout.isTTY });
  }

  override log(message: unknown, ...rest: unknown[]): void {
    if (this.verbosity !== 'debug' && FRAMEWORK.has(String(rest.at(-1)))) return;
    super.log(message, ...(rest as [string]));
  }

  override error(message: unknown, ...rest: unknown[]): void {
    // An error that stops the start is also thrown, and reported in our own words.
    if (this.verbosity !== 'debug' && FRAMEWORK.has(String(rest.at(-1)))) return;
    super.error(message, ...(rest as [string]));
  }
}
