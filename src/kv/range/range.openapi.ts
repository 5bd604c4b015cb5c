import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  DELETED,
  described,
  DescribeEntryPatch,
  DescribeEntryPut,
  QUERY_KEY,
  RANGE,
  READ_CONDITIONS,
  WRITE_CONDITIONS,
} from '../entry/entry.openapi.js';
import { ENTRY_EXAMPLE, headers, ITEM, KEY, optionalHeaders } from '../schemas.js';
import { EVENTS, WAIT, WATCH } from '../watch/watch.openapi.js';
import { about } from '../../http/answer/about.openapi.js';

/* What the doc comments of RangesController cannot say: parameters, bodies and answers, with examples that run. */

const TAG = ApiTags('Many entries');
const NDJSON = 'application/x-ndjson';
const FLAG = { type: 'boolean' };
const COUNT = { type: 'integer', minimum: 0 };

function query(name: string, schema: object, description: string): MethodDecorator {
  return ApiQuery({ name, required: false, description, schema });
}

const PREFIX = query('prefix', { type: 'string', example: 'example/' }, 'Text that the keys begin with.');
const TWIN = query('key', KEY, 'Instead of all others: the one entry of this key, as `/kv/{key}`.');
const DRY_RUN = query('dry-run', FLAG, 'Says what would be done, and does not do it.');

const PAGE_PARAMETERS = applyDecorators(
  PREFIX,
  query('after', { type: 'string', minLength: 1 }, 'Where to go on: the `next` of the page before.'),
  query(
    'limit',
    { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    'Items and groups of a page at most; it also ends after 4 MiB of values.',
  ),
  query(
    'delimiter',
    { type: 'string', minLength: 1 },
    'Keys that have it behind the prefix are one group, up to it.',
  ),
  query('values', FLAG, 'Whether the items have their values.'),
  query('reverse', FLAG, 'From the last key to the first.'),
  query('count', FLAG, 'Whether to count the whole range, into KV-Count.'),
  TWIN,
);

const PAGE = {
  title: 'Page',
  type: 'object',
  required: ['items', 'prefixes', 'next'],
  additionalProperties: false,
  properties: {
    items: { type: 'array', items: ITEM },
    prefixes: {
      type: 'array',
      items: { type: 'string' },
      description: 'The groups, if there is a delimiter.',
    },
    next: { type: ['string', 'null'], description: 'What `after` takes to go on; null at the end.' },
  },
};

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

const REMOVED = {
  title: 'Deleted',
  type: 'object',
  required: ['deleted'],
  additionalProperties: false,
  properties: { deleted: COUNT },
};

export function DescribeCount(): MethodDecorator {
  return applyDecorators(
    TAG,
    PAGE_PARAMETERS,
    READ_CONDITIONS,
    ApiResponse({
      status: 200,
      description: 'The headers of the page or the export, and the count; with `key` those of the entry.',
      headers: optionalHeaders('KV-Count', 'ETag', 'Link', 'Last-Modified', 'KV-Expires'),
    }),
    ApiResponse({
      status: 304,
      description: 'The client has it.',
      headers: headers('ETag'),
    }),
    about('Counts a range', 'The headers of GET, and KV-Count.', {
      400: 'A parameter or a condition is malformed.',
      404: 'The `key` is not in the database.',
      412: 'If-Match does not hold, or, with `key`, If-Unmodified-Since.',
    }),
  );
}

export function DescribePage(): MethodDecorator {
  const page = { items: [ENTRY_EXAMPLE], prefixes: [], next: null };
  const closing =
    '{"end":true,"count":2,"sha256":"0e23b0217396f154e20b26d080d29cdfc7336a12aba291fa79d2ed5e68493532"}\n';
  return applyDecorators(
    TAG,
    PAGE_PARAMETERS,
    READ_CONDITIONS,
    RANGE,
    WAIT,
    WATCH,
    ApiResponse({
      status: 200,
      description:
        'A page; an export or events, if that is what Accept names; with `key` the value as it was stored.',
      content: {
        'application/json': { schema: PAGE, example: page },
        [NDJSON]: { schema: { type: 'string' }, example: LINES + closing },
        '*/*': { schema: { description: 'With `key`: the value.' } },
        ...EVENTS,
      },
      headers: optionalHeaders(
        'ETag',
        'Link',
        'KV-Count',
        'Last-Modified',
        'KV-Expires',
        'Preference-Applied',
      ),
    }),
    ApiResponse({
      status: 206,
      description: 'With `key`: the bytes of Range.',
      content: { '*/*': { schema: {} } },
      headers: headers('ETag', 'Content-Range'),
    }),
    ApiResponse({ status: 304, description: 'The client has it.', headers: headers('ETag') }),
    about(
      'Lists or exports a range, or reads one entry',
      "With `key` it is `GET /kv/{key}`, for every key, `.` and `..` too. A range is in the order of the keys' bytes. With `Accept: application/x-ndjson` the whole range is streamed from one snapshot, one entry a line; its last line has the SHA-256 of those before.",
      {
        400: 'A parameter or a condition is malformed.',
        404: 'The `key` is not in the database.',
        412: 'If-Match does not hold, or, with `key`, If-Unmodified-Since.',
        416: 'With `key`: the value has no byte in the Range.',
      },
    ),
  );
}

export function DescribeImport(): MethodDecorator {
  const lines = { schema: { type: 'string' }, example: LINES };
  const report = { created: 2, updated: 0, skipped: 0, errors: [], errorCount: 0, end: false };
  return applyDecorators(
    TAG,
    query(
      'mode',
      { type: 'string', enum: ['upsert', 'create'], default: 'upsert' },
      'What to do with keys that exist.',
    ),
    DRY_RUN,
    ApiOperation({
      requestBody: {
        description:
          'One entry a line: `key`, `value` or `base64`, and if wanted `type` and `expires`. An export is one.',
        required: true,
        content: { [NDJSON]: lines, 'text/plain': lines },
      },
    }),
    described(200, 'What was done.', REPORT, report),
    about(
      'Imports entries',
      'Takes what an export gives, as a stream; each line is one write, and what came before a failure stays. A dry run counts a new key once for each line that has it. Without the closing line the answer is 200 with `end` false.',
      { 400: 'A parameter is malformed, or the import is cut off; its counts say how far it came.' },
    ),
  );
}

export function DescribeTwinPut(): MethodDecorator {
  return applyDecorators(
    DescribeEntryPut(QUERY_KEY),
    about(
      'Stores one entry, its key in the query',
      'As `PUT /kv/{key}`, for every key, `.` and `..` too.',
      {},
    ),
  );
}

export function DescribeTwinPatch(): MethodDecorator {
  return applyDecorators(
    DescribeEntryPatch(QUERY_KEY),
    about(
      'Counts, edits JSON, or changes when an entry ends, its key in the query',
      'As `PATCH /kv/{key}`, for every key, `.` and `..` too.',
      {},
    ),
  );
}

export function DescribeRangeDelete(): MethodDecorator {
  return applyDecorators(
    TAG,
    PREFIX,
    DRY_RUN,
    query(
      'confirm',
      { type: 'string', enum: ['all'] },
      'Needed to delete every key, which is what no prefix means.',
    ),
    TWIN,
    WRITE_CONDITIONS,
    described(200, 'How many there were.', REMOVED, { deleted: 2 }),
    DELETED,
    about(
      'Deletes a range, or one entry',
      'It takes the keys that exist when it begins; repeat it if it breaks off.',
      {
        400: 'A parameter or a condition is malformed, or deleting every key is not confirmed.',
        412: 'With `key`: a condition does not hold.',
      },
    ),
  );
}
