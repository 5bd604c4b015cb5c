import { ConsoleLogger } from '@nestjs/common';
import type { LogLevel } from '../../config/app-config.js';

const LEVELS = { error: ['fatal', 'error'], warn: ['fatal', 'error', 'warn'] } as const;

/** Nest's own words while it starts, of interest only to those who work on the server. */
const FRAMEWORK = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
  'ExceptionHandler',
]);

/** One line an event: for people on a terminal, JSON elsewhere. */
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
    // What the framework cannot start for is thrown too, and told in our own words.
    if (this.verbosity !== 'debug' && FRAMEWORK.has(String(rest.at(-1)))) return;
    super.error(message, ...(rest as [string]));
  }
}
