import { ArgumentsHost, Catch, ExceptionFilter } from '@nestjs/common';
import type { Response } from 'express';
import { MissingKeyError } from '../errors.js';
import { answerError } from '../http/answer/answer.js';
import { ORIGINAL_STATUS } from '../http/answer/error-status.js';

/** On the original routes a key that is not there is a bad request, as it always was. */
@Catch(MissingKeyError)
export class MissingKeyFilter implements ExceptionFilter<MissingKeyError> {
  catch(error: MissingKeyError, host: ArgumentsHost): void {
    answerError(host.switchToHttp().getResponse<Response>(), error, ORIGINAL_STATUS['missing-key']);
  }
}
