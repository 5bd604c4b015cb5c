import { applyDecorators } from '@nestjs/common';
import { ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ERROR_CODES, ERRORS } from '../../errors.js';
import { STATUS_OF } from './error-status.js';
import { about } from './about.openapi.js';

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

export function DescribeProblem(): MethodDecorator {
  const code = 'missing-key';
  const [title, meaning] = ERRORS[code];
  const example = { code, title, status: STATUS_OF[code], meaning };
  return applyDecorators(
    ApiTags('Problems'),
    ApiParam({ name: 'code', description: 'The `code` of a problem.', schema: { ...CODE, example: code } }),
    ApiResponse({
      status: 200,
      description: 'The row of the table.',
      content: { 'application/json': { schema: MEANING, example } },
    }),
    about('Explains an error', 'The `type` of a problem leads here. Codes never change; titles may.', {}),
  );
}
