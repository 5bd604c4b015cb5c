import { ArgumentsHost, Catch, ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Response } from 'express';
import { DatabaseError, internalError } from '../../errors.js';
import { answerError } from './answer.js';

/** The catch-all: an unmatched route is 404, a path that cannot be decoded 400, and the rest is ours: logged, and 500. */
@Catch()
export class NotFoundFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');
  /** Where to look for what there is (RFC 8288). */
  private readonly help: readonly string[];

  /** @param publicUrl where clients reach the server, without a slash at its end */
  constructor(publicUrl: string) {
    this.help = ['Link', `<${publicUrl}/docs>; rel="help", <${publicUrl}/console>; rel="help"`];
  }

  catch(exception: unknown, host: ArgumentsHost): void {
    const error = this.toDatabaseError(exception);
    const headers = error.code === 'route-not-found' ? this.help : [];
    answerError(host.switchToHttp().getResponse<Response>(), error, undefined, headers);
  }

  private toDatabaseError(exception: unknown): DatabaseError {
    const status = exception instanceof HttpException ? exception.getStatus() : undefined;
    if (status === 404) return new DatabaseError('route-not-found', "This URL doesn't exist!");
    // What Nest makes of the URIError that Express throws for a path it cannot decode.
    if (status === 400)
      return new DatabaseError(
        'malformed-request',
        'The path has a malformed escape. Escapes are `%` and two hex digits, of UTF-8 text.',
      );
    this.logger.error(exception instanceof Error ? exception.stack : String(exception));
    return internalError();
  }
}
