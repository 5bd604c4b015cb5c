import { applyDecorators } from '@nestjs/common';
import { ApiParam, ApiTags } from '@nestjs/swagger';
import { ERROR_CODES, ERRORS } from '../../errors.js';
import { STATUS_OF } from './error-status.js';
import { describeOperation, jsonAnswer } from './operation.openapi.js';

const CODE = { type: 'string', enum: ERROR_CODES };

const MEANING = {
  title: 'ProblemMeaning',
  type: 'object',
  required: ['code', 'title', 'status', 'meaning'],
  additionalProperties: false,
  properties: {
    code: CODE,
    title: { type: 'string' },
    status: { type: 'integer' },
    meaning: { type: 'string' },
  },
};

const TABLE = {
  title: 'ProblemMeanings',
  type: 'object',
  required: ['items'],
  additionalProperties: false,
  properties: { items: { type: 'array', items: MEANING } },
};

const code = 'missing-key';
const [title, meaning] = ERRORS[code];
const example = { code, title, status: STATUS_OF[code], meaning };

export function DescribeProblems(): MethodDecorator {
  return applyDecorators(
    ApiTags('Problems'),
    jsonAnswer(200, 'The table.', TABLE, { items: [example] }),
    describeOperation({
      id: 'listProblems',
      summary: 'Lists all errors',
      description: 'The whole table of errors, one row for each code.',
      errors: [],
    }),
  );
}

export function DescribeProblem(): MethodDecorator {
  return applyDecorators(
    ApiTags('Problems'),
    ApiParam({ name: 'code', description: 'The `code` of a problem.', schema: { ...CODE, example: code } }),
    jsonAnswer(200, 'The row of the table.', MEANING, example),
    describeOperation({
      id: 'explainProblem',
      summary: 'Explains an error',
      description: 'The `type` of a problem leads here. Codes never change; titles may.',
      errors: ['route-not-found'],
    }),
  );
}
