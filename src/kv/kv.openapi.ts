import { applyDecorators } from '@nestjs/common';
import { ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { KEY } from './schemas.js';
import { EVENTS, WATCH } from './watch/watch.openapi.js';
import { describeOperation, READ_ERRORS, WRITE_ERRORS } from '../http/answer/operation.openapi.js';

/*
 * What the doc comments of KvController cannot say: the shape of queries and answers, with examples that run. One
 * decorator a handler.
 */

const VALUES = {
  type: 'object',
  description:
    'Keys and their values: text, `application/json` as stored, or a `data:` URL for every other type.',
  additionalProperties: true,
};

function entries(status: number, description: string, example: object): MethodDecorator {
  return ApiResponse({ status, description, content: { 'application/json': { schema: VALUES, example } } });
}

/** Absent where events are asked for. */
const FOR_PEOPLE = {
  Link: { description: 'The console, which shows the same to people.', schema: { type: 'string' as const } },
};

const TAG = ApiTags('The original routes');

export function DescribeGet(): MethodDecorator {
  return applyDecorators(
    TAG,
    ApiQuery({
      name: 'key',
      description: 'The key, form-encoded: a space is `+` or `%20`, a plus `%2B`, an ampersand `%26`.',
      schema: { ...KEY, example: 'somekey' },
    }),
    entries(200, 'The entry.', { somekey: 'somevalue' }),
    describeOperation({
      id: 'getKey',
      summary: 'Reads one key',
      errors: [...READ_ERRORS, 'missing-query', 'invalid-query', 'invalid-key', 'missing-key'],
    }),
  );
}

export function DescribeSet(): MethodDecorator {
  return applyDecorators(
    TAG,
    ApiQuery({
      name: 'pair',
      description: 'The key and its value as one pair, `?somekey=somevalue`; it splits at the first `=`.',
      required: true,
      style: 'form',
      explode: true,
      schema: {
        type: 'object',
        additionalProperties: { type: 'string' },
        minProperties: 1,
        maxProperties: 1,
        example: { somekey: 'somevalue' },
      },
    }),
    entries(201, 'The key is new; it is stored.', { somekey: 'somevalue' }),
    entries(200, 'The key existed; its value is replaced.', { somekey: 'somevalue' }),
    describeOperation({
      id: 'setPair',
      once: true,
      summary: 'Stores one pair',
      description: 'Durable when it is answered. It writes on GET, so pages of other sites are refused.',
      errors: [...WRITE_ERRORS, 'missing-query', 'invalid-query', 'invalid-key', 'value-too-large'],
    }),
  );
}

export function DescribeAll(): MethodDecorator {
  const example = { otherkey: 'othervalue', somekey: 'somevalue' };
  const content = { 'application/json': { schema: VALUES, example }, ...EVENTS };
  return applyDecorators(
    TAG,
    WATCH,
    ApiResponse({
      status: 200,
      description: 'Every entry, or the events of all.',
      headers: FOR_PEOPLE,
      content,
    }),
    describeOperation({
      id: 'getAll',
      summary: 'Shows the whole database',
      description:
        'One JSON object in key order, streamed from one snapshot. It breaks off if it cannot be finished.',
      errors: [...READ_ERRORS, 'invalid-parameter'],
    }),
  );
}
