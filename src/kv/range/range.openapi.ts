import { applyDecorators } from '@nestjs/common';
import { ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  describeOperation,
  jsonAnswer,
  READ_ERRORS,
  WRITE_ERRORS,
} from '../../http/answer/operation.openapi.js';
import { READ_CONDITIONS } from '../conditions.openapi.js';
import { ENTRY_EXAMPLE, headers, ITEM, optionalHeaders } from '../schemas.js';
import { EXPORT } from '../transfer/import.openapi.js';
import { EVENTS, WAIT, WATCH } from '../watch/watch.openapi.js';

/* What the doc comments of RangeController cannot say: parameters, bodies and answers, with examples that run. */

const TAG = ApiTags('Many entries');
const FLAG = { type: 'boolean' };
const COUNT = { type: 'integer', minimum: 0 };

function query(name: string, schema: object, description: string): MethodDecorator {
  return ApiQuery({ name, required: false, description, schema });
}

const PREFIX = query('prefix', { type: 'string', example: 'example/' }, 'Text that the keys begin with.');
const RANGE = applyDecorators(
  PREFIX,
  query('from', { type: 'string', minLength: 1 }, 'The first key that may be meant.'),
  query('to', { type: 'string', minLength: 1 }, 'The first key after those that may be meant.'),
);
const DRY_RUN = query('dry-run', FLAG, 'Says what would be done, and does not do it.');

const PAGE_PARAMETERS = applyDecorators(
  RANGE,
  query('after', { type: 'string', minLength: 1 }, 'Where to go on: the `next` of the page before.'),
  query(
    'limit',
    { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    'Items and groups of a page at most; it also ends after 4 MiB of values.',
  ),
  query(
    'delimiter',
    { type: 'string', minLength: 1 },
    'Keys that have it after the prefix are one group, up to it.',
  ),
  query('values', FLAG, 'Whether the items have their values.'),
  query('reverse', FLAG, 'From the last key to the first.'),
  query('count', FLAG, 'Whether to count the whole range, into KV-Count.'),
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
    damaged: {
      type: 'array',
      items: { type: 'string' },
      description:
        'Keys of entries that are left out because the disk has damaged them; only if there are some.',
    },
  },
};

const REMOVED = {
  title: 'Deleted',
  type: 'object',
  required: ['deleted'],
  additionalProperties: false,
  properties: { deleted: COUNT },
};

const PAGE_ERRORS = [
  ...READ_ERRORS,
  'invalid-parameter',
  'invalid-condition',
  'precondition-failed',
  'service-worker',
] as const;

const NOT_MODIFIED = ApiResponse({
  status: 304,
  description: 'The client has it.',
  headers: headers('ETag', 'KV-Revision'),
});

export function DescribeCount(): MethodDecorator {
  return applyDecorators(
    TAG,
    PAGE_PARAMETERS,
    READ_CONDITIONS,
    ApiResponse({
      status: 200,
      description: 'The headers of the page or the export, and the count.',
      headers: optionalHeaders('KV-Count', 'KV-Revision', 'ETag', 'Link'),
    }),
    NOT_MODIFIED,
    describeOperation({
      id: 'countEntries',
      summary: 'Counts a range',
      description: 'The headers of GET, and KV-Count.',
      errors: PAGE_ERRORS,
    }),
  );
}

export function DescribePage(): MethodDecorator {
  const page = { items: [ENTRY_EXAMPLE], prefixes: [], next: null };
  return applyDecorators(
    TAG,
    PAGE_PARAMETERS,
    READ_CONDITIONS,
    WAIT,
    WATCH,
    ApiResponse({
      status: 200,
      description: 'A page; an export or events, if that is what Accept names.',
      content: { 'application/json': { schema: PAGE, example: page }, ...EXPORT, ...EVENTS },
      headers: optionalHeaders('ETag', 'Link', 'KV-Count', 'KV-Revision', 'Preference-Applied'),
    }),
    NOT_MODIFIED,
    describeOperation({
      id: 'listEntries',
      summary: 'Lists, exports or watches a range',
      description:
        "A range is in the order of the keys' bytes. With `Accept: application/x-ndjson` the whole range is streamed " +
        'from one snapshot, one entry a line; its last line has the SHA-256 of those before. An export breaks off at a ' +
        'damaged entry; with `Prefer: handling=lenient` it leaves such entries out, and its last line names them. A watch ' +
        'may name up to 100 `prefix` and `key` in all.',
      errors: PAGE_ERRORS,
    }),
  );
}

const RESTORED = {
  title: 'Restored',
  type: 'object',
  required: ['restored', 'deleted', 'unchanged', 'errors', 'errorCount'],
  additionalProperties: false,
  properties: {
    restored: { ...COUNT, description: 'Entries that are again what they were.' },
    deleted: { ...COUNT, description: 'Entries that were not there, and are gone.' },
    unchanged: { ...COUNT, description: 'Entries that had not changed.' },
    errors: {
      type: 'array',
      maxItems: 100,
      items: {
        type: 'object',
        required: ['key', 'code', 'detail'],
        additionalProperties: false,
        properties: { key: { type: 'string' }, code: { type: 'string' }, detail: { type: 'string' } },
      },
      description: 'The first keys that stay as they are, and why.',
    },
    errorCount: { ...COUNT, description: 'How many stay as they are.' },
  },
};

export function DescribeRestore(): MethodDecorator {
  return applyDecorators(
    TAG,
    RANGE,
    query(
      'at',
      // Of the future, which means now, so that trying it out changes nothing.
      { type: 'string', minLength: 1, example: '2099-12-31T23:59:59Z' },
      'The moment: a tag or KV-Revision, or a time with its offset (RFC 3339).',
    ),
    DRY_RUN,
    query(
      'confirm',
      { type: 'string', enum: ['all'] },
      'Needed to put every key back, which is what no prefix means.',
    ),
    jsonAnswer(200, 'What has become of the keys.', RESTORED, {
      restored: 1,
      deleted: 1,
      unchanged: 3,
      errors: [],
      errorCount: 0,
    }),
    describeOperation({
      id: 'restoreEntries',
      summary: 'Puts a range back to a moment',
      description:
        'It takes the keys as they are when it begins; what others change meanwhile is newer, and stays. Each write of it is a ' +
        'change like others, so that it can be undone too. Repeat it if it breaks off.',
      errors: [
        ...WRITE_ERRORS,
        'invalid-parameter',
        'invalid-condition',
        'invalid-idempotency-key',
        'confirmation-needed',
        'history-gone',
        'not-supported',
        'service-worker',
      ],
    }),
  );
}

export function DescribeRangeDelete(): MethodDecorator {
  return applyDecorators(
    TAG,
    RANGE,
    DRY_RUN,
    query(
      'confirm',
      { type: 'string', enum: ['all'] },
      'Needed to delete every key, which is what no prefix means.',
    ),
    jsonAnswer(200, 'How many there were.', REMOVED, { deleted: 2 }),
    describeOperation({
      id: 'deleteEntries',
      summary: 'Deletes a range',
      description: 'It takes the keys that exist when it begins; repeat it if it breaks off.',
      errors: [
        ...WRITE_ERRORS,
        'invalid-parameter',
        'invalid-condition',
        'invalid-idempotency-key',
        'confirmation-needed',
        'service-worker',
      ],
    }),
  );
}
