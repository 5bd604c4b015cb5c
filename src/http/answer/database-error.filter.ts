import { ArgumentsHost, Catch, ExceptionFilter, Logger } from '@nestjs/common';
import type { Response } from 'express';
import type { IncomingMessage } from 'node:http';
import { DatabaseError } from '../../errors.js';
import { changedTag } from '../request/preconditions.js';
import { answerError } from './answer.js';

/** Answers every error of the table, and logs what caused it. */
@Catch(DatabaseError)
export class DatabaseErrorFilter implements ExceptionFilter<DatabaseError> {
  private readonly logger = new Logger('Http');

  catch(error: DatabaseError, host: ArgumentsHost): void {
    const { cause, code, context } = error;
    if (cause !== undefined) {
      const text = cause instanceof Error ? cause.stack : JSON.stringify(cause);
      this.logger.error(text, { code, keys: context.keys });
    }
    const response = host.switchToHttp().getResponse<Response>();
    answerError(response, withAdvice(error, response.req));
  }
}

/** Returns the error with what only the request tells: that a proxy has changed the tag it names. */
function withAdvice(error: DatabaseError, request: IncomingMessage): DatabaseError {
  const { code, context, detail } = error;
  if (code === 'outcome-unknown' && request.headers['idempotency-key'] !== undefined) {
    const advice = 'With the same Idempotency-Key it can be repeated as it was, and is done once.';
    return new DatabaseError(code, `${detail} ${advice}`, context);
  }
  if (code !== 'precondition-failed' || context.etag === undefined) return error;
  const advice = changedTag(request, context.etag);
  return advice === undefined ? error : new DatabaseError(code, `${detail} ${advice}`, context);
}
