import { ArgumentsHost, Catch, ExceptionFilter, Logger } from '@nestjs/common';
import type { Response } from 'express';
import { DatabaseError } from '../../errors.js';
import { answerError } from './answer.js';

/** Answers every error of the table, and logs what caused it. */
@Catch(DatabaseError)
export class DatabaseErrorFilter implements ExceptionFilter<DatabaseError> {
  private readonly logger = new Logger('Http');

  catch(error: DatabaseError, host: ArgumentsHost): void {
    const { cause } = error;
    if (cause !== undefined) this.logger.error(cause instanceof Error ? cause.stack : JSON.stringify(cause));
    answerError(host.switchToHttp().getResponse<Response>(), error);
  }
}
