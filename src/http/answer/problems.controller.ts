import { Controller, Get, NotFoundException, Req, Res } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_CODES, ERRORS, type ErrorCode } from '../../errors.js';
import { answerJson } from './answer.js';
import { STATUS_OF } from './error-status.js';
import { Documented } from './documented.js';

/** Loaded when somebody asks for the document. */
const docs = () => import('./problems.openapi.js');

const PREFIX = '/problems/';

/** What the `type` of a problem points to: its row of the table of errors. */
@Controller('problems')
export class ProblemsController {
  /** Lists the table. */
  @Get()
  @Documented(docs, 'DescribeProblems')
  list(@Res() response: ServerResponse): void {
    answerJson(response, 200, `${JSON.stringify({ items: ERROR_CODES.map(rowOf) })}\n`);
  }

  /** Explains an error. */
  @Get('{*code}')
  @Documented(docs, 'DescribeProblem')
  show(@Req() request: IncomingMessage, @Res() response: ServerResponse): void {
    answerJson(response, 200, `${JSON.stringify(rowOf(codeOf(request)))}\n`);
  }
}

function rowOf(code: ErrorCode): object {
  const [title, meaning] = ERRORS[code];
  return { code, title, status: STATUS_OF[code], meaning };
}

function codeOf(request: IncomingMessage): ErrorCode {
  const code = request.url!.slice(PREFIX.length).split('?', 1)[0]!;
  if (!Object.hasOwn(ERRORS, code)) throw new NotFoundException();
  return code as ErrorCode;
}
