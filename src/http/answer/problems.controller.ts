import { Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.js';
import { answerJson } from './answer.js';
import { STATUS_OF } from './error-status.js';
import { Documented } from './documented.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./problems.openapi.js');

const PREFIX = '/problems/';

/** What the `type` of a problem points to: its row of the table of errors. */
@Controller('problems/{*code}')
export class ProblemsController {
  /** Explains an error. */
  @Get()
  @Documented(docs, 'DescribeProblem')
  show(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    const code = codeOf(request);
    const [title, meaning] = ERRORS[code];
    answerJson(response, 200, JSON.stringify({ code, title, status: STATUS_OF[code], meaning }));
  }
}

function codeOf(request: IncomingMessage): ErrorCode {
  const code = request.url!.slice(PREFIX.length).split('?', 1)[0]!;
  if (!Object.hasOwn(ERRORS, code)) throw new NotFoundException();
  return code as ErrorCode;
}
