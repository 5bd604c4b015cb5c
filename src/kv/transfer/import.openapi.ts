import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { describeOperation, jsonAnswer, WRITE_ERRORS } from '../../http/answer/operation.openapi.js';
import { BYTES } from '../schemas.js';
import { NDJSON } from './exporter.js';

/* What the doc comment of ImportController cannot say: the lines, and the report. */

const COUNT = { type: 'integer', minimum: 0 };

const LINES =
  '{"key":"example/grace","type":"text/plain; charset=utf-8","expires":null,"value":"Grace"}\n' +
  '{"key":"example/pixel","type":"image/gif","expires":null,"base64":"R0lGODlhAQABAAAAACw="}\n';

const REPORT = {
  title: 'ImportReport',
  type: 'object',
  required: ['created', 'updated', 'skipped', 'errors', 'errorCount', 'end'],
  additionalProperties: false,
  properties: {
    created: COUNT,
    updated: COUNT,
    skipped: { ...COUNT, description: 'Expired, or there already under `mode=create`.' },
    errors: {
      description: 'The first 100 lines that were not taken.',
      type: 'array',
      items: {
        type: 'object',
        required: ['line', 'detail'],
        properties: { line: { type: 'integer', minimum: 1 }, detail: { type: 'string' } },
      },
    },
    errorCount: COUNT,
    end: { type: 'boolean', description: 'Whether the closing line of an export was seen, and fitted.' },
  },
};

/** The answer of an export. */
export const EXPORT = {
  [NDJSON]: {
    schema: { type: 'string' },
    example:
      LINES +
      '{"end":true,"count":2,"sha256":"0e23b0217396f154e20b26d080d29cdfc7336a12aba291fa79d2ed5e68493532"}\n',
  },
};

export function DescribeImport(): MethodDecorator {
  const lines = { schema: BYTES, example: LINES };
  const report = { created: 2, updated: 0, skipped: 0, errors: [], errorCount: 0, end: false };
  return applyDecorators(
    ApiTags('Many entries'),
    ApiQuery({
      name: 'mode',
      required: false,
      description: 'What to do with keys that exist.',
      schema: { type: 'string', enum: ['upsert', 'create'], default: 'upsert' },
    }),
    ApiQuery({
      name: 'dry-run',
      required: false,
      description: 'Says what would be done, and does not do it.',
      schema: { type: 'boolean' },
    }),
    ApiOperation({
      requestBody: {
        description:
          'One entry a line: `key`, `value` or `base64`, and if wanted `type` and `expires`. An export is one.',
        required: true,
        content: { [NDJSON]: lines, 'text/plain': lines },
      },
    }),
    jsonAnswer(200, 'What was done.', REPORT, report),
    describeOperation({
      id: 'importEntries',
      summary: 'Imports entries',
      description:
        'Takes what an export gives, as a stream; each line is one write, and what came before a failure stays. A dry ' +
        'run counts a new key once for each line that has it. Without the closing line the answer is 200 with `end` false.',
      errors: [
        ...WRITE_ERRORS,
        'invalid-parameter',
        'invalid-type',
        'invalid-condition',
        'invalid-idempotency-key',
        'truncated',
        'unsupported-type',
        'service-worker',
      ],
    }),
  );
}
