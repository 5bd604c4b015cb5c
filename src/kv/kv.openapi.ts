import { applyDecorators } from '@nestjs/common';
import { ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { KEY } from './schemas.js';
import { EVENTS, WATCH } from './watch/watch.openapi.js';
import { about } from '../http/answer/about.openapi.js';

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
    about('Reads one key', '', {
      400: 'The key is not in the database, or the query is not `?key=…`.',
      500: 'The stored record fails its checksum.',
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
    about(
      'Stores one pair',
      'Durable when it is answered. It writes on GET, so pages of other sites are refused.',
      {
        400: 'The query is not one pair, or its escapes are malformed.',
        403: "Another site's page, or a prefetch, sent the request.",
        413: 'The value is larger than MAX_VALUE_BYTES.',
        504: 'The disk did not confirm the write; it may or may not have been applied.',
        507: 'The disk is full; nothing was written.',
      },
    ),
  );
}

export function DescribeRefusedHead(): MethodDecorator {
  return applyDecorators(
    TAG,
    about('Refused, because GET of this path writes', '', { 405: 'Nothing was written.' }),
  );
}

export function DescribeAll(): MethodDecorator {
  const example = { otherkey: 'othervalue', somekey: 'somevalue' };
  const content = { 'application/json': { schema: VALUES, example }, ...EVENTS };
  return applyDecorators(
    TAG,
    WATCH,
    ApiResponse({ status: 200, description: 'Every entry, or the events of all.', content }),
    about(
      'Shows the whole database',
      'One JSON object in key order, streamed from one snapshot. It breaks off if it cannot be finished.',
      {},
    ),
  );
}
