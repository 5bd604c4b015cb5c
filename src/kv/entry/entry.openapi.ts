import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { RANGE, READ_CONDITIONS, WRITE_CONDITIONS } from '../conditions.openapi.js';
import { BYTES, ENTRY, ENTRY_EXAMPLE, headers, KEY, optionalHeaders, TIME, TTL } from '../schemas.js';
import { EVENTS, WAIT, WATCH } from '../watch/watch.openapi.js';
import { FROM, HISTORY, HISTORY_EXAMPLE, PAST, PAST_ERRORS } from './past.openapi.js';
import {
  describeOperation,
  jsonAnswer,
  READ_ERRORS,
  WRITE_ERRORS,
  type OperationText,
} from '../../http/answer/operation.openapi.js';

/*
 * What the doc comments of EntryController cannot say: parameters, bodies and answers, with examples that run. The
 * document of the other spelling, `/kv?key=`, is derived from this one.
 */

const TAG = ApiTags('One entry');
const VALIDATORS = headers('ETag', 'Last-Modified', 'KV-Expires');

const PATH_KEY = ApiParam({
  name: 'key',
  description:
    'The key: everything after `/kv/`, percent-decoded once. A slash may stand as it is or as `%2F`; keys with a ' +
    'segment `.` or `..` need the latter, and `.` and `..` themselves need `/kv?key=`.',
  schema: { ...KEY, example: 'example/ada' },
});

const KEY_ERRORS = [
  'invalid-parameter',
  'invalid-key',
  'invalid-condition',
  'precondition-failed',
  'service-worker',
] as const;

function describe(text: OperationText): MethodDecorator {
  return describeOperation({ ...text, errors: [...KEY_ERRORS, ...text.errors], twin: '/kv' });
}

const QUERY_EXPIRY = applyDecorators(
  ApiQuery({
    name: 'ttl',
    required: false,
    description: 'How long the entry lives from now on.',
    schema: TTL,
  }),
  ApiQuery({
    name: 'expires',
    required: false,
    description: 'When the entry ends, instead of `ttl`: a time to come, with its offset (RFC 3339).',
    schema: TIME,
  }),
);

const NOT_MODIFIED = ApiResponse({
  status: 304,
  description: 'The client has it: If-None-Match or If-Modified-Since says so.',
  headers: headers('ETag'),
});

export function DescribeGet(): MethodDecorator {
  const content = {
    '*/*': { schema: {}, example: '{"name":"Ada"}' },
    'application/json': {
      schema: { anyOf: [HISTORY, { description: 'A value that is JSON.' }] },
      examples: {
        value: { summary: 'A value', value: { name: 'Ada' } },
        history: { summary: 'With `history=true`', value: HISTORY_EXAMPLE },
      },
    },
    ...EVENTS,
  };
  return applyDecorators(
    TAG,
    PATH_KEY,
    READ_CONDITIONS,
    RANGE,
    WAIT,
    WATCH,
    PAST,
    ApiResponse({
      status: 200,
      description:
        'The value, byte for byte, with the type it was stored with, as it is or as it was; or its history; or its events.',
      content,
      headers: optionalHeaders(
        'ETag',
        'Last-Modified',
        'KV-Expires',
        'Accept-Ranges',
        'Preference-Applied',
        'Memento-Datetime',
        'Content-Location',
      ),
    }),
    ApiResponse({
      status: 206,
      description: 'The bytes of Range.',
      content: { '*/*': { schema: BYTES, example: '{"na' } },
      headers: { ...VALIDATORS, ...headers('Accept-Ranges', 'Content-Range') },
    }),
    NOT_MODIFIED,
    describe({
      id: 'getEntry',
      summary: 'Reads one entry',
      errors: [...READ_ERRORS, ...PAST_ERRORS, 'missing-key', 'range-not-satisfiable'],
    }),
  );
}

export function DescribePut(): MethodDecorator {
  const content = {
    'application/json': { schema: {}, example: { name: 'Ada' } },
    'text/plain': { schema: { type: 'string' }, example: 'Any text' },
    '*/*': { schema: { description: 'Any bytes of any media type.' } },
  };
  return applyDecorators(
    TAG,
    PATH_KEY,
    QUERY_EXPIRY,
    FROM,
    WRITE_CONDITIONS,
    ApiOperation({
      requestBody: {
        description: 'The value. Its Content-Type is stored with it. None with `from`.',
        required: false,
        content,
      },
    }),
    jsonAnswer(201, 'The key is new; it is stored.', ENTRY, ENTRY_EXAMPLE, {
      ...VALIDATORS,
      ...headers('Location'),
    }),
    jsonAnswer(
      200,
      'The key existed; value, type and expiry are replaced.',
      ENTRY,
      ENTRY_EXAMPLE,
      VALIDATORS,
    ),
    describe({
      id: 'putEntry',
      once: true,
      summary: 'Stores one entry',
      description:
        'Without `ttl` or `expires` it stays for ever, whatever it was before. JSON is checked and kept as its own bytes.',
      errors: [
        ...WRITE_ERRORS,
        ...PAST_ERRORS,
        'missing-key',
        'invalid-type',
        'invalid-json',
        'unsupported-type',
        'value-too-large',
      ],
    }),
  );
}

export function DescribePatch(): MethodDecorator {
  const counter = { schema: { description: 'The new value of a counter.' }, example: '1' };
  return applyDecorators(
    TAG,
    PATH_KEY,
    ApiQuery({
      name: 'incr',
      required: false,
      description: 'What to add to the counter, a 64-bit integer. Without a body.',
      schema: { type: 'string', pattern: '^[+-]?[0-9]{1,19}$' },
    }),
    QUERY_EXPIRY,
    WRITE_CONDITIONS,
    ApiOperation({
      requestBody: {
        description: 'A merge patch (RFC 7396): its members replace those of the value, null removes one.',
        content: { 'application/merge-patch+json': { schema: {}, example: { city: 'London' } } },
      },
    }),
    ApiResponse({
      status: 201,
      description: '`incr` made a new counter.',
      content: { 'text/plain': counter },
      headers: { ...VALIDATORS, ...headers('Location') },
    }),
    ApiResponse({
      status: 200,
      description: 'The new value; after `ttl` or `expires` alone the description of the entry.',
      content: {
        'application/json': {
          schema: { anyOf: [ENTRY, { description: 'The patched value.' }] },
          examples: {
            patched: { summary: 'After a merge patch', value: { name: 'Ada', city: 'London' } },
            touched: { summary: 'After `ttl` or `expires`', value: ENTRY_EXAMPLE },
          },
        },
        '*/*': counter,
      },
      headers: VALIDATORS,
    }),
    describe({
      id: 'patchEntry',
      once: true,
      summary: 'Counts, edits JSON, or changes when an entry ends',
      description:
        'Either `incr` (then `ttl` or `expires` is for a counter that is new), or one of those alone, or a merge patch as ' +
        'the body. Each is one atomic step. A patched value is compact JSON with every digit of its numbers.',
      errors: [
        ...WRITE_ERRORS,
        'missing-key',
        'invalid-type',
        'invalid-json',
        'unsupported-type',
        'value-too-large',
        'body-too-large',
        'not-an-integer',
        'integer-overflow',
        'not-json',
      ],
    }),
  );
}

export function DescribeDelete(): MethodDecorator {
  return applyDecorators(
    TAG,
    PATH_KEY,
    WRITE_CONDITIONS,
    ApiResponse({ status: 204, description: 'The key is not there, or not any more.' }),
    describe({
      id: 'deleteEntry',
      once: true,
      summary: 'Deletes one entry',
      description: 'A key that is not there is as good as deleted, so it is safe to repeat.',
      errors: WRITE_ERRORS,
    }),
  );
}
