import { ArgumentsHost, Catch, ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Response } from 'express';
import { DatabaseError } from '../../errors.js';
import { answerError } from './answer.js';

/** The catch-all: no route is 404, an error of the table is its answer, and the rest is ours: logged, and 500. */
@Catch()
export class NotFoundFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  catch(exception: unknown, host: ArgumentsHost): void {
    answerError(host.switchToHttp().getResponse<Response>(), this.toDatabaseError(exception));
  }

  private toDatabaseError(exception: unknown): DatabaseError {
    if (exception instanceof DatabaseError) {
      if (exception.cause !== undefined) this.log(exception.cause);
      return exception;
    }
    const status = statusOf(exception);
    if (status === 404) return new DatabaseError('route-not-found', "This URL doesn't exist!");
    if (status === 400)
      return new DatabaseError(
        'malformed-request',
        'The path has a malformed escape. Escapes are `%` and two hex digits, of UTF-8 text.',
      );
    this.log(exception);
    return new DatabaseError('internal', 'The server failed. Its log says how.');
  }

  private log(cause: unknown): void {
    this.logger.error(cause instanceof Error ? cause.stack : String(cause));
  }
}

/** Of Nest's exceptions, and of those that Express's router makes of paths it cannot decode. */
function statusOf(exception: unknown): number | undefined {
  if (exception instanceof HttpException) return exception.getStatus();
  return exception instanceof URIError ? 400 : undefined;
}
