import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ENTRY, ENTRY_EXAMPLE, headers, KEY, optionalHeaders, TTL } from '../schemas.js';
import { EVENTS, WAIT, WATCH } from '../watch/watch.openapi.js';
import { about } from '../../http/answer/about.openapi.js';

/*
 * What the doc comments of the controllers cannot say of one entry: parameters, bodies and answers, with examples that
 * run. One decorator a handler; the twin spelling takes the same with the key elsewhere.
 */

const TAG = ApiTags('One entry');
const VALIDATORS = headers('ETag', 'Last-Modified', 'KV-Expires');

const PATH_KEY = ApiParam({
  name: 'key',
  description:
    'The key: everything behind `/kv/`, percent-decoded once. A slash may stand as it is or as `%2F`; keys with a ' +
    'segment `.` or `..` need the latter, and `.` and `..` themselves need `/kv?key=`.',
  schema: { ...KEY, example: 'example/ada' },
});

/** The key of the twin spelling, which also takes the keys that a path cannot carry. */
export const QUERY_KEY = ApiQuery({
  name: 'key',
  description: 'The key, form-encoded: a plus is `%2B`.',
  schema: { ...KEY, example: 'example/ada' },
});

const QUERY_TTL = ApiQuery({
  name: 'ttl',
  required: false,
  description: 'How long the entry lives from now on.',
  schema: TTL,
});

const CONDITIONS: Record<string, string> = {
  'If-Match': 'Only if the entry has one of these tags, `"…"`; `*`: only if it exists.',
  'If-None-Match': 'Only if the entry has none of these tags, `"…"`; `*`: only if it does not exist.',
  'If-Unmodified-Since': 'Only if the entry was not written since. Ignored beside If-Match.',
  'If-Modified-Since': 'Only if the entry was written since. Ignored beside If-None-Match.',
  'If-Range':
    'The tag, `"…"`, for which the range is meant; for another, or for a date, the whole value is answered.',
  Range: 'The bytes to give out, one range like `bytes=0-99`.',
};

function requestHeaders(...names: string[]): MethodDecorator {
  return applyDecorators(
    ...names.map((name) =>
      ApiHeader({ name, description: CONDITIONS[name], required: false, schema: { type: 'string' } }),
    ),
  );
}

export const WRITE_CONDITIONS = requestHeaders('If-Match', 'If-None-Match', 'If-Unmodified-Since');
export const READ_CONDITIONS = applyDecorators(WRITE_CONDITIONS, requestHeaders('If-Modified-Since'));
export const RANGE = requestHeaders('Range', 'If-Range');

/** An answer of JSON. */
export function described(
  status: number,
  description: string,
  schema: object,
  example: unknown,
  more = {},
): MethodDecorator {
  return ApiResponse({
    status,
    description,
    content: { 'application/json': { schema, example } },
    headers: more,
  });
}

const NOT_MODIFIED = ApiResponse({
  status: 304,
  description: 'The client has it: If-None-Match or If-Modified-Since says so.',
  headers: headers('ETag'),
});

/** What reading an entry answers, beside what else the URL may mean. */
export function DescribeEntryGet(): MethodDecorator {
  const content = { '*/*': { schema: {}, example: '{"name":"Ada"}' }, ...EVENTS };
  return applyDecorators(
    TAG,
    PATH_KEY,
    READ_CONDITIONS,
    RANGE,
    WAIT,
    WATCH,
    ApiResponse({
      status: 200,
      description: 'The value, byte for byte, with the type it was stored with; or its events.',
      content,
      headers: optionalHeaders('ETag', 'Last-Modified', 'KV-Expires', 'Accept-Ranges', 'Preference-Applied'),
    }),
    ApiResponse({
      status: 206,
      description: 'The bytes of Range.',
      content: { '*/*': { schema: {}, example: '{"na' } },
      headers: { ...VALIDATORS, ...headers('Accept-Ranges', 'Content-Range') },
    }),
    NOT_MODIFIED,
    about('Reads one entry', '', {
      400: 'The key is not one, or a condition is malformed.',
      404: 'The key is not in the database, or its time has run out.',
      412: 'If-Match or If-Unmodified-Since does not hold.',
      416: 'The value has no byte in the Range.',
    }),
  );
}

export function DescribeEntryPut(key = PATH_KEY): MethodDecorator {
  const content = {
    'application/json': { schema: {}, example: { name: 'Ada' } },
    'text/plain': { schema: { type: 'string' }, example: 'Any text' },
    '*/*': { schema: { description: 'Any bytes of any media type.' } },
  };
  return applyDecorators(
    TAG,
    key,
    QUERY_TTL,
    WRITE_CONDITIONS,
    ApiOperation({
      requestBody: { description: 'The value. Its Content-Type is stored with it.', required: true, content },
    }),
    described(201, 'The key is new; it is stored.', ENTRY, ENTRY_EXAMPLE, {
      ...VALIDATORS,
      ...headers('Location'),
    }),
    described(200, 'The key existed; value, type and expiry are replaced.', ENTRY, ENTRY_EXAMPLE, VALIDATORS),
    about(
      'Stores one entry',
      'Without `ttl` it stays for ever, whatever it was before. JSON is checked and kept as its own bytes.',
      {
        400: 'The key, the Content-Type, `ttl` or a condition is malformed, or the value is no JSON but says so.',
        412: 'A condition does not hold; `etag` is the tag of the entry as it is.',
        413: 'The value is larger than MAX_VALUE_BYTES.',
      },
    ),
  );
}

export function DescribeEntryPatch(key = PATH_KEY): MethodDecorator {
  const counter = { schema: { description: 'The new value of a counter.' }, example: '1' };
  return applyDecorators(
    TAG,
    key,
    ApiQuery({
      name: 'incr',
      required: false,
      description: 'What to add to the counter, a 64-bit integer. Without a body.',
      schema: { type: 'string', pattern: '^[+-]?[0-9]{1,19}$' },
    }),
    QUERY_TTL,
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
      description: 'The new value; after `ttl` alone the description of the entry.',
      content: {
        'application/json': {
          schema: { anyOf: [ENTRY, { description: 'The patched value.' }] },
          examples: {
            patched: { summary: 'After a merge patch', value: { name: 'Ada', city: 'London' } },
            touched: { summary: 'After `ttl`', value: ENTRY_EXAMPLE },
          },
        },
        '*/*': counter,
      },
      headers: VALIDATORS,
    }),
    about(
      'Counts, edits JSON, or changes when an entry ends',
      'Either `incr` (then `ttl` is for a counter that is new), or `ttl` alone, or a merge patch as the body. Each is one atomic step. A patched value is compact JSON with every digit of its numbers.',
      {
        400: 'It is none of the three or more than one, or one of its parts is malformed.',
        404: 'The key is not in the database; `incr` would have made it.',
        409: 'The value is no integer, the sum no 64-bit one, or the value to patch no JSON.',
        412: 'A condition does not hold; `etag` is the tag of the entry as it is.',
        413: 'The patch, or what it makes of the value, is larger than MAX_VALUE_BYTES.',
      },
    ),
  );
}

/** The answer to deleting one key. */
export const DELETED = ApiResponse({ status: 204, description: 'The key is not there, or not any more.' });

export function DescribeEntryDelete(): MethodDecorator {
  return applyDecorators(
    TAG,
    PATH_KEY,
    WRITE_CONDITIONS,
    DELETED,
    about('Deletes one entry', 'A key that is not there is as good as deleted, so it is safe to repeat.', {
      400: 'The key is not one, or a condition is malformed.',
      412: 'A condition does not hold; `etag` is the tag of the entry as it is.',
    }),
  );
}
