import { applyDecorators } from '@nestjs/common';
import { ApiResponse, ApiTags } from '@nestjs/swagger';
import { describeOperation } from '../http/answer/operation.openapi.js';

const TEXT = { schema: { type: 'string' } };

export function DescribeBackup(): MethodDecorator {
  return applyDecorators(
    ApiTags('Backup'),
    ApiResponse({
      status: 200,
      description: 'The copy, which `pigeonhole backup restore` makes a database of.',
      headers: {
        'Content-Disposition': { description: 'A name for it, with the time.', required: true, ...TEXT },
        'Repr-Digest': { description: 'Its SHA-256 (RFC 9530).', required: false, ...TEXT },
      },
      content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
    }),
    describeOperation({
      id: 'getBackup',
      summary: 'A copy of the whole database',
      description:
        'Shows one instant, with tokens and the change log. It is made and verified before its first byte is sent, so a large ' +
        'one keeps you waiting; others go on meanwhile. One is made at a time. A token with a namespace gets none.',
      errors: [
        'busy',
        'unavailable',
        'moved',
        'corrupt',
        'disk-full',
        'forbidden',
        'invalid-parameter',
        'invalid-condition',
        'not-supported',
      ],
    }),
  );
}
